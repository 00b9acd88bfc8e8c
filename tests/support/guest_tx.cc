// SPDX-License-Identifier: Apache-2.0
#include "tests/support/guest_tx.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace kinsock::testing {
namespace {

constexpr uint32_t kHeader = sizeof(virtio_vsock_hdr);
constexpr uint32_t kPage = 4096;

}  // namespace

GuestTx::GuestTx(SharedMemory& memory, const GuestOptions& options, Violations& violations)
    : memory_(memory), options_(options), ring_(memory, options.ring_entries, "transmit", violations) {
  ring_.set_kick_rule(options.kick_rule);
}

void GuestTx::Reset(bool event_idx) {
  ring_.Reset(event_idx);
  queue_.clear();
  for (const auto& [head, slot] : under_way_) ReturnSlot(slot);
  under_way_.clear();
}

bool GuestTx::TakeSlot(const VsockPacket& packet, Slot* slot) {
  slot->big = kHeader + packet.payload.size() > kSmallBytes;
  std::vector<uint64_t>& free = slot->big ? big_ : small_;
  size_t& made = slot->big ? big_made_ : small_made_;
  if (free.empty()) {
    if (made == (slot->big ? kBigSlots : kSmallSlots)) return false;
    ++made;
    free.push_back(memory_.Allocate(slot->big ? kHeader + options_.tx_packet_bytes : kSmallBytes));
  }
  slot->gpa = free.back();
  free.pop_back();
  return true;
}

ChainBuilder GuestTx::Layout(uint64_t gpa, uint32_t payload) const {
  ChainBuilder chain;
  const uint64_t data = gpa + kHeader;
  switch (options_.tx_layout) {
    case TxLayout::kOnePiece:
      return chain.Readable(gpa, kHeader + payload);
    case TxLayout::kShreddedHeader:
      for (uint32_t i = 0; i < kHeader; ++i) chain.Readable(gpa + i, 1);
      break;
    case TxLayout::kHeaderAndPayload:
    case TxLayout::kPages:
      chain.Readable(gpa, kHeader);
      break;
  }
  const uint32_t piece = options_.tx_layout == TxLayout::kPages ? kPage : payload;
  for (uint32_t done = 0; done < payload; done += piece) {
    chain.Readable(data + done, std::min(piece, payload - done));
  }
  return chain;
}

bool GuestTx::Flush() {
  bool flushed = false;
  while (!queue_.empty()) {
    const VsockPacket& packet = queue_.front();
    Slot slot;
    if (!TakeSlot(packet, &slot)) break;
    const ChainBuilder chain = Layout(slot.gpa, static_cast<uint32_t>(packet.payload.size()));
    const bool indirect = options_.indirect && chain.links().size() > 1;
    const virtio_vsock_hdr header = packet.Header();
    memory_.Write(slot.gpa, &header, sizeof(header));
    memory_.Write(slot.gpa + kHeader, packet.payload.data(), packet.payload.size());
    const std::optional<uint16_t> head = ring_.Add(chain, indirect);
    if (!head.has_value()) {
      ReturnSlot(slot);
      break;
    }
    under_way_[*head] = slot;
    queue_.pop_front();
    flushed = true;
  }
  if (flushed) {
    ring_.Publish();
    ring_.Kick();
  }
  return flushed;
}

bool GuestTx::Reclaim() {
  bool any = false;
  while (std::optional<VringDriver::Used> used = ring_.Reap()) {
    any = true;
    const auto slot = under_way_.find(used->head);
    if (slot == under_way_.end()) continue;  // a chain that the test added itself
    ReturnSlot(slot->second);
    under_way_.erase(slot);
  }
  return any;
}

}  // namespace kinsock::testing
