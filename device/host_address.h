// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_ADDRESS_H_
#define KINSOCK_DEVICE_HOST_ADDRESS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "device/forward_ports.h"
#include "device/host_connection.h"
#include "router/cid.h"

namespace kinsock {

// Where the host programs of one guest are: behind AF_UNIX sockets, or in the AF_VSOCK address space of the host's
// kernel. Plain value.
struct HostAddress {
  enum class Kind : uint8_t { kNone, kUnix, kVsock };
  Kind kind = Kind::kNone;

  std::string uds_path;  // kUnix: port P is "<uds_path>_P"

  Cid cid = 0;  // kVsock: port P is that of this CID
  // kVsock: ports that the guest may not call, because they are those of other guests; null: it may call all.
  std::shared_ptr<const ForwardPorts> forbidden_ports;

  static HostAddress Unix(std::string uds_path) { return {.kind = Kind::kUnix, .uds_path = std::move(uds_path)}; }
  static HostAddress Vsock(Cid cid, std::shared_ptr<const ForwardPorts> forbidden_ports) {
    return {.kind = Kind::kVsock, .cid = cid, .forbidden_ports = std::move(forbidden_ports)};
  }
};

// Reaches for the host program that listens for the guest's `port`, without waiting. `socket_type`: SOCK_STREAM or
// SOCK_SEQPACKET, which is for kUnix only. On the device's reactor.
HostConnection ConnectHost(const HostAddress& address, uint32_t port, int socket_type);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_ADDRESS_H_
