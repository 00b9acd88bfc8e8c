// SPDX-License-Identifier: Apache-2.0
#include "device/host_address.h"

#include <sys/socket.h>

#include "device/host_path.h"
#include "device/host_vsock.h"

namespace kinsock {

HostConnection ConnectHost(const HostAddress& address, uint32_t port, int socket_type) {
  switch (address.kind) {
    case HostAddress::Kind::kNone:
      break;
    case HostAddress::Kind::kUnix:
      return ConnectHostPath(address.uds_path, port, socket_type);
    case HostAddress::Kind::kVsock:
      if (address.forbidden_ports != nullptr && address.forbidden_ports->Contains(port)) {
        return {.status = HostConnection::Status::kForbidden, .socket = UniqueFd()};
      }
      if (socket_type != SOCK_STREAM) break;  // forwarding carries streams, as the existing daemon's does
      return ConnectHostVsock(address.cid, port);
  }
  return {};
}

}  // namespace kinsock
