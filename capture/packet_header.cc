// SPDX-License-Identifier: Apache-2.0
#include "capture/packet_header.h"

namespace kinsock {
namespace {

// AF_VSK_TRANSPORT_VIRTIO.
constexpr uint16_t kVirtio = 2;

// AF_VSOCK_OP_*: what Linux makes of a virtio operation.
uint16_t MonitorOp(uint16_t op) {
  switch (op) {
    case VIRTIO_VSOCK_OP_REQUEST:
    case VIRTIO_VSOCK_OP_RESPONSE:
      return 1;  // CONNECT
    case VIRTIO_VSOCK_OP_RST:
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      return 2;  // DISCONNECT
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
      return 3;  // CONTROL
    case VIRTIO_VSOCK_OP_RW:
      return 4;  // PAYLOAD
    default:
      return 0;  // UNKNOWN
  }
}

}  // namespace

CapturePacketHeader PacketHeaderOf(const CaptureRecord& record) {
  const VsockHeaderWire& virtio = record.header;
  return {.src_cid = virtio.src_cid,
          .dst_cid = virtio.dst_cid,
          .src_port = virtio.src_port,
          .dst_port = virtio.dst_port,
          .op = Le<uint16_t>(MonitorOp(virtio.op.value())),
          .transport = Le<uint16_t>(kVirtio),
          .transport_bytes = Le<uint16_t>(kVsockHeaderBytes),
          .reserved = {},
          .virtio = virtio};
}

}  // namespace kinsock
