// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_VSOCK_HEADER_H_
#define KINSOCK_ROUTER_VSOCK_HEADER_H_

#include <linux/virtio_vsock.h>

#include <cstddef>
#include <cstdint>

#include "base/little_endian.h"

namespace kinsock {

// The header in front of every packet, as it lies in a guest's buffer (virtio 1.3, 5.10.6).
struct VsockHeaderWire {
  Le<uint64_t> src_cid;
  Le<uint64_t> dst_cid;
  Le<uint32_t> src_port;
  Le<uint32_t> dst_port;
  Le<uint32_t> len;
  Le<uint16_t> type;
  Le<uint16_t> op;
  Le<uint32_t> flags;
  Le<uint32_t> buf_alloc;
  Le<uint32_t> fwd_cnt;
} __attribute__((packed));

inline constexpr uint32_t kVsockHeaderBytes = 44;
static_assert(sizeof(VsockHeaderWire) == kVsockHeaderBytes);
static_assert(offsetof(VsockHeaderWire, len) == 24);
static_assert(offsetof(VsockHeaderWire, buf_alloc) == 36);

// Payload of one packet at most: what Linux sends (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). A longer one is refused.
inline constexpr uint32_t kMaxPayloadBytes = 64 * 1024;

// The same in numbers: a private copy that the sender can no longer change. The values of type, op and flags
// are those of <linux/virtio_vsock.h>; nothing here says that they are legal.
struct VsockHeader {
  uint64_t src_cid = 0;
  uint64_t dst_cid = 0;
  uint32_t src_port = 0;
  uint32_t dst_port = 0;
  uint32_t len = 0;  // bytes of payload
  uint16_t type = VIRTIO_VSOCK_TYPE_STREAM;
  uint16_t op = VIRTIO_VSOCK_OP_INVALID;
  uint32_t flags = 0;
  uint32_t buf_alloc = 0;  // receive buffer of the sender, bytes
  uint32_t fwd_cnt = 0;    // bytes that the sender's program has consumed, modulo 2^32
};

// What a packet is about. Payload is most of them.
enum class OpClass : uint8_t {
  kData,     // RW
  kCredit,   // CREDIT_UPDATE, CREDIT_REQUEST
  kControl,  // the beginning and the end of a connection: REQUEST, RESPONSE, SHUTDOWN, RST
};
inline constexpr size_t kOpClasses = 3;

// Precondition: `op` is one of VIRTIO_VSOCK_OP_*.
inline OpClass OpClassOf(uint16_t op) {
  if (op == VIRTIO_VSOCK_OP_RW) return OpClass::kData;
  return op >= VIRTIO_VSOCK_OP_CREDIT_UPDATE ? OpClass::kCredit : OpClass::kControl;
}

// Whether a message ends with this packet (virtio 1.3, 5.10.6.6.3). Streams have no messages.
inline bool EndsMessage(const VsockHeader& header) {
  return header.type == VIRTIO_VSOCK_TYPE_SEQPACKET && header.op == VIRTIO_VSOCK_OP_RW &&
         (header.flags & VIRTIO_VSOCK_SEQ_EOM) != 0;
}

// The flags that mean something on this packet: nothing else of what a guest writes there reaches another.
inline uint32_t MeaningfulFlags(const VsockHeader& header) {
  if (header.op == VIRTIO_VSOCK_OP_SHUTDOWN) {
    return header.flags & (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
  }
  // A record ends with a message or not at all.
  return EndsMessage(header) ? header.flags & (VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR) : 0;
}

inline VsockHeader Decode(const VsockHeaderWire& wire) {
  return {.src_cid = wire.src_cid.value(),
          .dst_cid = wire.dst_cid.value(),
          .src_port = wire.src_port.value(),
          .dst_port = wire.dst_port.value(),
          .len = wire.len.value(),
          .type = wire.type.value(),
          .op = wire.op.value(),
          .flags = wire.flags.value(),
          .buf_alloc = wire.buf_alloc.value(),
          .fwd_cnt = wire.fwd_cnt.value()};
}

inline VsockHeaderWire Encode(const VsockHeader& header) {
  return {.src_cid = Le<uint64_t>(header.src_cid),
          .dst_cid = Le<uint64_t>(header.dst_cid),
          .src_port = Le<uint32_t>(header.src_port),
          .dst_port = Le<uint32_t>(header.dst_port),
          .len = Le<uint32_t>(header.len),
          .type = Le<uint16_t>(header.type),
          .op = Le<uint16_t>(header.op),
          .flags = Le<uint32_t>(header.flags),
          .buf_alloc = Le<uint32_t>(header.buf_alloc),
          .fwd_cnt = Le<uint32_t>(header.fwd_cnt)};
}

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_VSOCK_HEADER_H_
