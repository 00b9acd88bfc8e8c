// SPDX-License-Identifier: Apache-2.0
#include "tests/support/guest_rx.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace kinsock::testing {

GuestRx::GuestRx(SharedMemory& memory, const GuestOptions& options, Violations& violations)
    : memory_(memory),
      options_(options),
      violations_(violations),
      ring_(memory, options.ring_entries, "receive", violations),
      posting_(options.posts_rx) {
  ring_.set_kick_rule(options.kick_rule);
}

void GuestRx::Reset(bool event_idx) {
  ring_.Reset(event_idx);
  posted_.clear();
  spare_buffers_ = all_buffers_;
}

ChainBuilder GuestRx::Describe(uint64_t buffer) const {
  ChainBuilder chain;
  uint32_t left = options_.rx_buffer_bytes;
  for (const uint32_t piece : options_.rx_pieces) {
    const uint32_t size = std::min(piece, left);
    if (size == 0) continue;
    chain.Writable(buffer, size);
    buffer += size;
    left -= size;
  }
  if (left > 0) chain.Writable(buffer, left);
  return chain;
}

bool GuestRx::Post() {
  if (spare_buffers_.empty()) {
    all_buffers_.push_back(memory_.Allocate(options_.rx_buffer_bytes));
    spare_buffers_.push_back(all_buffers_.back());
  }
  const uint64_t buffer = spare_buffers_.back();
  const ChainBuilder chain = Describe(buffer);
  const bool indirect = options_.indirect && chain.links().size() > 1;
  const std::optional<uint16_t> head = ring_.Add(chain, indirect);
  if (!head.has_value()) return false;
  spare_buffers_.pop_back();
  posted_[*head] = buffer;
  std::memset(memory_.At(buffer, options_.rx_buffer_bytes), kUntouched, options_.rx_buffer_bytes);
  return true;
}

void GuestRx::Fill() {
  if (!posting_) return;
  while (ring_.outstanding() < options_.rx_buffers && Post()) {
  }
  ring_.Publish();
  ring_.Kick();
}

std::optional<VsockPacket> GuestRx::Take() {
  while (std::optional<VringDriver::Used> used = ring_.Reap()) {
    const auto posted = posted_.find(used->head);
    if (posted == posted_.end()) continue;  // the ring has complained already
    const uint64_t buffer = posted->second;
    posted_.erase(posted);
    spare_buffers_.push_back(buffer);

    std::string bytes(options_.rx_buffer_bytes, '\0');
    memory_.Read(buffer, bytes.data(), bytes.size());
    const uint32_t written = std::min<uint32_t>(used->written, options_.rx_buffer_bytes);
    if (bytes.find_first_not_of(kUntouched, written) != std::string::npos) {
      violations_.Add("the device wrote behind the used length " + std::to_string(written));
    }
    if (written < sizeof(virtio_vsock_hdr)) {
      violations_.Add("a receive buffer came back with " + std::to_string(written) + " bytes");
      continue;
    }
    virtio_vsock_hdr header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    VsockPacket packet = VsockPacket::FromHeader(header);
    packet.payload = bytes.substr(sizeof(header), written - sizeof(header));
    if (packet.claimed_length() != packet.payload.size()) {
      violations_.Add(ToString(packet) + ": but " + std::to_string(packet.payload.size()) + " bytes came");
    }
    return packet;
  }
  return std::nullopt;
}

}  // namespace kinsock::testing
