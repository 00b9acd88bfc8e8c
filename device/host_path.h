// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_PATH_H_
#define KINSOCK_DEVICE_HOST_PATH_H_

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace kinsock {

// A connection to the host program that listens for a guest's port: the socket "<uds_path>_<port>".
struct HostConnection {
  enum class Status : uint8_t {
    kConnected,
    kBusy,    // the listener's backlog is full: worth another try
    kRefused  // nobody listens, or it is not a socket of that name in that directory
  };
  Status status = Status::kRefused;
  UniqueFd socket;  // kConnected; non-blocking
};

// Connects, without waiting. The guest chooses the port, so nothing but a socket of exactly that name is
// opened: no link is followed, and the directory is not left. `socket_type`: SOCK_STREAM or SOCK_SEQPACKET; a
// listener of the other type refuses.
HostConnection ConnectHostPath(const std::string& uds_path, uint32_t port, int socket_type);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_PATH_H_
