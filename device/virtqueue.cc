// SPDX-License-Identifier: Apache-2.0
#include "device/virtqueue.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace kinsock {
namespace {

// Longest chain that is followed, whatever the ring's size: Linux puts one page per descriptor into an
// indirect table, which may be longer than a small ring. A loop ends here.
constexpr uint32_t kMinChainLimit = 128;

// A field that the driver changes while we look: read or written exactly once, with the given order.
template <typename T>
T Load(const std::byte* at, std::memory_order order) {
  return std::atomic_ref<T>(*reinterpret_cast<T*>(const_cast<std::byte*>(at))).load(order);
}

template <typename T>
void Store(std::byte* at, T value, std::memory_order order) {
  std::atomic_ref<T>(*reinterpret_cast<T*>(at)).store(value, order);
}

// A private copy: two loads, each done once.
VringDesc LoadDesc(const std::byte* table, uint32_t index) {
  const std::byte* at = table + sizeof(VringDesc) * index;
  const uint64_t words[2] = {Load<uint64_t>(at, std::memory_order_relaxed),
                             Load<uint64_t>(at + 8, std::memory_order_relaxed)};
  VringDesc desc;
  std::memcpy(&desc, words, sizeof(desc));
  return desc;
}

absl::Status CheckAligned(absl::string_view part, uint64_t address, uint64_t alignment) {
  if (address % alignment == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s ring at 0x%x is not aligned to %d", part, address, alignment));
}

absl::StatusOr<std::byte*> Find(const GuestMemory& memory, absl::string_view part, uint64_t address, uint64_t bytes) {
  std::byte* at = memory.ContiguousUser(address, bytes);
  if (at != nullptr) return at;
  return absl::InvalidArgumentError(
      absl::StrFormat("%s ring at 0x%x of %d bytes is not in guest memory", part, address, bytes));
}

// virtio 1.3, 2.7.10: has the driver's event index been passed by the step from `before` to `now`?
bool Crossed(uint16_t event, uint16_t now, uint16_t before) {
  return static_cast<uint16_t>(now - event - 1) < static_cast<uint16_t>(now - before);
}

}  // namespace

Virtqueue::Virtqueue(const VringLayout& layout, std::shared_ptr<const GuestMemory> memory)
    : layout_(layout), memory_(std::move(memory)), next_avail_(layout.base), seen_avail_(layout.base) {}

absl::StatusOr<Virtqueue> Virtqueue::Create(const VringLayout& layout, std::shared_ptr<const GuestMemory> memory) {
  if (!std::has_single_bit(layout.size) || layout.size > kMaxVringSize) {
    return absl::InvalidArgumentError(absl::StrFormat("ring size %d is not a power of two", layout.size));
  }
  KINSOCK_RETURN_IF_ERROR(CheckAligned("descriptor", layout.desc_user_address, 16));
  KINSOCK_RETURN_IF_ERROR(CheckAligned("available", layout.avail_user_address, 2));
  KINSOCK_RETURN_IF_ERROR(CheckAligned("used", layout.used_user_address, 4));
  Virtqueue queue(layout, std::move(memory));
  KINSOCK_RETURN_IF_ERROR(queue.Locate());
  // What was returned before a stop is what the used ring says, whoever stopped it.
  queue.next_used_ = Load<uint16_t>(queue.used_ + 2, std::memory_order_relaxed);
  queue.shown_ = queue.published_ = queue.next_used_;
  return queue;
}

absl::Status Virtqueue::Locate() {
  KINSOCK_ASSIGN_OR_RETURN(std::byte * desc,
                           Find(*memory_, "descriptor", layout_.desc_user_address, VringDescBytes(layout_.size)));
  KINSOCK_ASSIGN_OR_RETURN(std::byte * avail,
                           Find(*memory_, "available", layout_.avail_user_address, VringAvailBytes(layout_.size)));
  KINSOCK_ASSIGN_OR_RETURN(std::byte * used,
                           Find(*memory_, "used", layout_.used_user_address, VringUsedBytes(layout_.size)));
  desc_ = desc;
  avail_ = avail;
  used_ = used;
  return absl::OkStatus();
}

absl::Status Virtqueue::Relocate(std::shared_ptr<const GuestMemory> memory) {
  std::swap(memory_, memory);
  const absl::Status located = Locate();
  if (!located.ok()) std::swap(memory_, memory);
  return located;
}

uint16_t Virtqueue::LoadAvailIndex() const { return Load<uint16_t>(avail_ + 2, std::memory_order_acquire); }

bool Virtqueue::HasAvailable() {
  if (seen_avail_ == next_avail_) seen_avail_ = LoadAvailIndex();
  return seen_avail_ != next_avail_;
}

uint16_t Virtqueue::Available() {
  seen_avail_ = LoadAvailIndex();
  return static_cast<uint16_t>(seen_avail_ - next_avail_);
}

Virtqueue::PopResult Virtqueue::Pop(DescriptorChain& chain) {
  if (!HasAvailable()) return PopResult::kEmpty;
  if (static_cast<uint16_t>(seen_avail_ - next_avail_) > layout_.size) return PopResult::kBroken;
  // More lent than the ring has entries: one was lent twice.
  if (in_flight_ >= layout_.size) return PopResult::kBroken;
  const uint32_t slot = next_avail_ & (layout_.size - 1);
  const uint16_t head = Load<uint16_t>(avail_ + 4 + 2 * slot, std::memory_order_relaxed);
  if (head >= layout_.size) return PopResult::kBroken;

  ++next_avail_;
  ++in_flight_;
  chain.head_ = head;
  chain.owed_ = true;
  chain.readable.Clear();
  chain.writable.Clear();
  return Walk(head, chain) ? PopResult::kChain : PopResult::kMalformed;
}

// virtio 1.3, 2.7.5: descriptors to read come before those to write; a table of indirect ones may stand at the
// end of a chain, not inside another table.
bool Virtqueue::Walk(uint16_t head, DescriptorChain& chain) const {
  const std::byte* table = desc_;
  uint32_t entries = layout_.size;
  uint32_t index = head;
  bool inside_indirect = false;
  for (uint32_t left = std::max(layout_.size, kMinChainLimit); left > 0; --left) {
    const VringDesc desc = LoadDesc(table, index);
    const uint16_t flags = desc.flags.value();
    const uint32_t len = desc.len.value();
    if (flags & kVringDescIndirect) {
      if (!layout_.indirect || inside_indirect || (flags & kVringDescNext)) return false;
      if (len == 0 || len % sizeof(VringDesc) != 0) return false;
      table = memory_->Contiguous(desc.addr.value(), len);
      if (table == nullptr || reinterpret_cast<uintptr_t>(table) % alignof(uint64_t) != 0) return false;
      entries = len / sizeof(VringDesc);
      index = 0;
      inside_indirect = true;
      continue;
    }
    const bool writable = (flags & kVringDescWrite) != 0;
    if (!writable && chain.writable.size() > 0) return false;
    // An empty buffer may have any address: it is never looked up.
    if (len > 0 && !memory_->Translate(desc.addr.value(), len, writable ? chain.writable : chain.readable)) {
      return false;
    }
    if (!(flags & kVringDescNext)) return true;
    index = desc.next.value();
    if (index >= entries) return false;
  }
  return false;
}

void Virtqueue::Return(DescriptorChain& chain, uint32_t written) {
  const VringUsedElem element = {Le<uint32_t>(chain.head_), Le<uint32_t>(written)};
  const uint32_t slot = next_used_ & (layout_.size - 1);
  std::memcpy(used_ + 4 + sizeof(element) * slot, &element, sizeof(element));
  ++next_used_;
  --in_flight_;
  chain.owed_ = false;
}

void Virtqueue::TakeBack(absl::Span<DescriptorChain> chains) {
  for (DescriptorChain& chain : chains) chain.Abandon();
  next_avail_ -= static_cast<uint16_t>(chains.size());
  in_flight_ -= static_cast<uint32_t>(chains.size());
}

void Virtqueue::Show() {
  if (shown_ == next_used_) return;
  shown_ = next_used_;
  Store<uint16_t>(used_ + 2, next_used_, std::memory_order_release);
}

bool Virtqueue::Publish() {
  if (published_ == next_used_) return false;
  const uint16_t before = published_;
  published_ = next_used_;
  Show();
  // The driver writes its wish, then looks at the index; we write the index, then look at its wish. With full
  // barriers on both sides one of the two sees the other (2.7.7, 2.7.10).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (layout_.event_idx) {
    const auto event = Load<uint16_t>(avail_ + 4 + 2 * layout_.size, std::memory_order_relaxed);
    return Crossed(event, next_used_, before);
  }
  return (Load<uint16_t>(avail_, std::memory_order_relaxed) & kVringAvailNoInterrupt) == 0;
}

bool Virtqueue::EnableKicks() {
  if (layout_.event_idx) {
    Store<uint16_t>(used_ + 4 + sizeof(VringUsedElem) * layout_.size, next_avail_, std::memory_order_relaxed);
  } else if (!kicks_enabled_) {
    Store<uint16_t>(used_, 0, std::memory_order_relaxed);
  }
  kicks_enabled_ = true;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  seen_avail_ = LoadAvailIndex();
  return seen_avail_ != next_avail_;
}

void Virtqueue::DisableKicks() {
  // With EVENT_IDX the index that was asked for last has been passed: silence until it is set anew.
  if (!layout_.event_idx && kicks_enabled_) Store<uint16_t>(used_, kVringUsedNoNotify, std::memory_order_relaxed);
  kicks_enabled_ = false;
}

}  // namespace kinsock
