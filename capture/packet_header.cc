// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>

#include "base/little_endian.h"
#include "capture/writer.h"

namespace kinsock {
namespace {

// struct af_vsockmon_hdr of <linux/vsockmon.h>.
struct MonitorHeader {
  Le<uint64_t> src_cid;
  Le<uint64_t> dst_cid;
  Le<uint32_t> src_port;
  Le<uint32_t> dst_port;
  Le<uint16_t> op;
  Le<uint16_t> transport;
  Le<uint16_t> transport_bytes;
  char reserved[2];
} __attribute__((packed));
static_assert(sizeof(MonitorHeader) + kVsockHeaderBytes == CaptureWriter::kHeaderBytes);
static_assert(offsetof(MonitorHeader, op) == 24);

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

void AppendPacketHeader(const CaptureRecord& record, std::string& out) {
  const VsockHeaderWire& virtio = record.header;
  const MonitorHeader monitor{.src_cid = virtio.src_cid,
                              .dst_cid = virtio.dst_cid,
                              .src_port = virtio.src_port,
                              .dst_port = virtio.dst_port,
                              .op = Le<uint16_t>(MonitorOp(virtio.op.value())),
                              .transport = Le<uint16_t>(kVirtio),
                              .transport_bytes = Le<uint16_t>(kVsockHeaderBytes),
                              .reserved = {}};
  out.append(reinterpret_cast<const char*>(&monitor), sizeof(monitor));
  out.append(reinterpret_cast<const char*>(&virtio), sizeof(virtio));
}

}  // namespace kinsock
