// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vsock_packet.h"

#include <bit>

namespace kinsock::testing {

static_assert(std::endian::native == std::endian::little, "the header below is filled without swapping");

virtio_vsock_hdr VsockPacket::Header() const {
  virtio_vsock_hdr header{};
  header.src_cid = src_cid;
  header.dst_cid = dst_cid;
  header.src_port = src_port;
  header.dst_port = dst_port;
  header.len = claimed_length();
  header.type = type;
  header.op = op;
  header.flags = flags;
  header.buf_alloc = buf_alloc;
  header.fwd_cnt = fwd_cnt;
  return header;
}

VsockPacket VsockPacket::FromHeader(const virtio_vsock_hdr& header) {
  VsockPacket packet;
  packet.src_cid = header.src_cid;
  packet.dst_cid = header.dst_cid;
  packet.src_port = header.src_port;
  packet.dst_port = header.dst_port;
  packet.type = header.type;
  packet.op = header.op;
  packet.flags = header.flags;
  packet.buf_alloc = header.buf_alloc;
  packet.fwd_cnt = header.fwd_cnt;
  packet.len = header.len;
  return packet;
}

const char* OpName(uint16_t op) {
  static constexpr const char* kNames[] = {"INVALID",  "REQUEST", "RESPONSE",      "RST",
                                           "SHUTDOWN", "RW",      "CREDIT_UPDATE", "CREDIT_REQUEST"};
  return op < std::size(kNames) ? kNames[op] : "?";
}

std::string ToString(const VsockPacket& packet) {
  return std::string(OpName(packet.op)) + " " + std::to_string(packet.src_cid) + ":" + std::to_string(packet.src_port) +
         " > " + std::to_string(packet.dst_cid) + ":" + std::to_string(packet.dst_port) + " len " +
         std::to_string(packet.claimed_length()) + " flags " + std::to_string(packet.flags);
}

}  // namespace kinsock::testing
