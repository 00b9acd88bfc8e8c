// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_PROXY_HEADER_H_
#define KINSOCK_DEVICE_PROXY_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "device/host_endpoint.h"
#include "router/cid.h"

namespace kinsock {

// The header of the PROXY protocol, version 2, which a forward may put in front of a connection's bytes: who connected
// to whom, for a program that sees only the forwarding socket.
//
// Its addresses are those of the host's socket: AF_UNIX or TCP, from who connected to who accepted. What vsock and the
// API call the connection is in TLVs:
//   0x05 (UNIQUE_ID)  the number of the connection in decimal, as in "connections/<instance>-<number>"
//   0xE5 (custom)     source CID, source port, destination CID, destination port: four 32-bit numbers, big-endian
//   0xE6 (custom)     name of the VM, "vms/<id>"
struct ProxyHeader {
  static constexpr uint8_t kUniqueId = 0x05;
  static constexpr uint8_t kVsockAddresses = 0xE5;
  static constexpr uint8_t kVmName = 0xE6;

  sockaddr_storage source{};  // AF_UNIX, AF_INET or AF_INET6; the two of one family
  sockaddr_storage destination{};
  Cid source_cid = 0;
  uint32_t source_port = 0;
  Cid destination_cid = 0;
  uint32_t destination_port = 0;
  uint64_t connection = 0;
  std::string_view vm;

  // Fills in the addresses of `fd`, a connected socket of `host`. `accepted`: by this end.
  void SetAddresses(int fd, const HostEndpoint& host, bool accepted);

  std::string Encode() const;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_PROXY_HEADER_H_
