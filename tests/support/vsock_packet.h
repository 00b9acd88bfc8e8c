// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VSOCK_PACKET_H_
#define KINSOCK_TESTS_SUPPORT_VSOCK_PACKET_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/uapi.h"

namespace kinsock::testing {

// A vsock packet (virtio 1.3, 5.10.6) as the simulated guest handles it: the fields of the header, free to lie, and
// the payload. Plain value.
struct VsockPacket {
  uint64_t src_cid = 0;
  uint64_t dst_cid = 0;
  uint32_t src_port = 0;
  uint32_t dst_port = 0;
  uint16_t type = VIRTIO_VSOCK_TYPE_STREAM;
  uint16_t op = VIRTIO_VSOCK_OP_INVALID;
  uint32_t flags = 0;
  uint32_t buf_alloc = 0;
  uint32_t fwd_cnt = 0;
  std::optional<uint32_t> len;  // as claimed by the header; if absent, the truth
  std::string payload;

  uint32_t claimed_length() const { return len.value_or(static_cast<uint32_t>(payload.size())); }

  virtio_vsock_hdr Header() const;
  static VsockPacket FromHeader(const virtio_vsock_hdr& header);
};

static_assert(sizeof(virtio_vsock_hdr) == 44);

// For messages, e.g. "RST 3:1024 > 4:80 len 0".
std::string ToString(const VsockPacket& packet);
const char* OpName(uint16_t op);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VSOCK_PACKET_H_
