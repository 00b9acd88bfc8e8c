// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_PATH_H_
#define KINSOCK_DEVICE_HOST_PATH_H_

#include <cstdint>
#include <string>

#include "device/host_connection.h"

namespace kinsock {

// Connects to the host program that listens for a guest's port, the socket "<uds_path>_<port>", without waiting
// (kConnecting never comes of it). The guest chooses the port, so nothing but a socket of exactly that name is
// opened: no link is followed, and the directory is not left. `socket_type`: SOCK_STREAM or SOCK_SEQPACKET; a
// listener of the other type refuses.
HostConnection ConnectHostPath(const std::string& uds_path, uint32_t port, int socket_type);

// The same for the socket `path`, absolute. `beneath`: a directory above it, from which on no link is followed and no
// way leads out; empty: its own.
HostConnection ConnectSocketFile(const std::string& beneath, const std::string& path, int socket_type);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_PATH_H_
