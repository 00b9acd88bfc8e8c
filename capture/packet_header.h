// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_PACKET_HEADER_H_
#define KINSOCK_CAPTURE_PACKET_HEADER_H_

#include <cstddef>
#include <cstdint>

#include "base/little_endian.h"
#include "capture/record.h"
#include "capture/writer.h"
#include "router/vsock_header.h"

namespace kinsock {

// What stands in front of each payload of a capture file: struct af_vsockmon_hdr of <linux/vsockmon.h>, and the header
// of the packet (virtio 1.3, 5.10.6).
struct CapturePacketHeader {
  Le<uint64_t> src_cid;
  Le<uint64_t> dst_cid;
  Le<uint32_t> src_port;
  Le<uint32_t> dst_port;
  Le<uint16_t> op;
  Le<uint16_t> transport;
  Le<uint16_t> transport_bytes;
  char reserved[2];
  VsockHeaderWire virtio;
} __attribute__((packed));
static_assert(sizeof(CapturePacketHeader) == CaptureWriter::kHeaderBytes);
static_assert(offsetof(CapturePacketHeader, op) == 24);

CapturePacketHeader PacketHeaderOf(const CaptureRecord& record);

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_PACKET_HEADER_H_
