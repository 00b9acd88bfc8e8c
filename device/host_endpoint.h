// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_ENDPOINT_H_
#define KINSOCK_DEVICE_HOST_ENDPOINT_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "device/host_connection.h"

namespace kinsock {

// One stream socket of the host by its address: a UNIX path, or a TCP port of the loopback interface. Plain value.
struct HostEndpoint {
  enum class Kind : uint8_t { kUnix, kTcp };
  Kind kind = Kind::kUnix;

  std::string path = {};  // kUnix: absolute
  // kUnix: a directory above `path` from which on no symbolic link is followed and no way leads out, so that who may
  // write below it leads nobody elsewhere; empty: only the socket itself must not be a link.
  std::string beneath = {};

  sockaddr_storage address{};  // kTcp: sockaddr_in or sockaddr_in6
  socklen_t address_bytes = 0;
};

// Connects without waiting. kConnecting comes of TCP only.
HostConnection ConnectEndpoint(const HostEndpoint& endpoint);

// What a fresh TCP connection needs; nothing for others. Forwarded bytes go out as they come: the programs at both ends
// have their own idea of what belongs together.
void PrepareForwardedSocket(int fd);

// Whether a TCP connection ended in itself: connect() to a port of the dynamic range on which nobody listens may get
// the very same port as its own.
bool IsConnectedToItself(int fd);

// Makes close() end a TCP connection by RST instead of in order; nothing for others.
void ResetOnClose(int fd);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_ENDPOINT_H_
