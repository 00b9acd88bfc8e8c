// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vring_driver.h"

#include <sys/eventfd.h>

#include <cstring>
#include <utility>

#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

// Byte offsets in the available and the used ring (virtio 1.3, 2.7.6 and 2.7.8).
constexpr uint32_t kFlags = 0;
constexpr uint32_t kIdx = 2;
constexpr uint32_t kRing = 4;

uint16_t Load(const void* at) { return __atomic_load_n(static_cast<const uint16_t*>(at), __ATOMIC_ACQUIRE); }
void Store(void* at, uint16_t value) { __atomic_store_n(static_cast<uint16_t*>(at), value, __ATOMIC_RELEASE); }

UniqueFd NewEventFd() {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Require(fd.valid(), "no eventfd");
  return fd;
}

bool Drain(const UniqueFd& fd) {
  eventfd_t count = 0;
  return fd.valid() && eventfd_read(fd.get(), &count) == 0;
}

}  // namespace

VringDriver::VringDriver(SharedMemory& memory, uint16_t entries, std::string name, Violations& violations)
    : memory_(memory),
      entries_(entries),
      name_(std::move(name)),
      violations_(violations),
      desc_(memory.Allocate(16U * entries)),
      avail_(memory.Allocate(kRing + 2U * entries + 2)),
      used_(memory.Allocate(kRing + 8U * entries + 2)) {
  RenewEventFds();
  Reset(false);
}

void VringDriver::RenewEventFds() {
  // An interrupt that was raised before the pause is still pending after it.
  called_ = TakeInterrupt();
  kick_ = NewEventFd();
  call_ = NewEventFd();
  former_call_.reset();
}

void VringDriver::SwapCallFd() { former_call_ = std::exchange(call_, NewEventFd()); }

void VringDriver::Reset(bool event_idx) {
  event_idx_ = event_idx;
  std::memset(memory_.At(desc_, 16U * entries_), 0, 16U * entries_);
  std::memset(memory_.At(avail_, kRing + 2U * entries_ + 2), 0, kRing + 2U * entries_ + 2);
  std::memset(memory_.At(used_, kRing + 8U * entries_ + 2), 0, kRing + 8U * entries_ + 2);
  for (Chain& chain : chains_) {
    if (chain.table != 0) spare_tables_.push_back(chain.table);
  }
  chains_.assign(entries_, {});
  free_.clear();
  for (uint32_t i = entries_; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
  outstanding_ = 0;
  reaped_ = 0;
  called_ = false;
  added_idx_ = avail_idx_ = kicked_idx_ = last_used_ = 0;
}

uint16_t* VringDriver::AvailField(uint32_t offset) const {
  return reinterpret_cast<uint16_t*>(memory_.At(avail_ + offset, 2));
}

vring_desc VringDriver::Encode(const std::vector<ChainBuilder::Link>& links, size_t i,
                               const std::vector<uint16_t>& at) {
  const ChainBuilder::Link& link = links[i];
  vring_desc descriptor{link.gpa, link.size, link.flags, 0};
  if (!link.table.empty()) {
    descriptor.addr = MakeTable(link.table);
    descriptor.len = static_cast<uint32_t>(16 * link.table.size());
  }
  if (link.next_raw.has_value()) {
    descriptor.next = *link.next_raw;
  } else if (link.next_position.has_value()) {
    descriptor.next = at[*link.next_position];
  } else if (i + 1 < links.size()) {
    descriptor.next = at[i + 1];
  } else {
    return descriptor;
  }
  descriptor.flags |= VRING_DESC_F_NEXT;
  return descriptor;
}

uint64_t VringDriver::MakeTable(const std::vector<ChainBuilder::Link>& links) {
  const size_t room = std::max(links.size(), kTableEntries);
  uint64_t table = 0;
  if (room == kTableEntries && !spare_tables_.empty()) {
    table = spare_tables_.back();
    spare_tables_.pop_back();
  } else {
    table = memory_.Allocate(16 * room);
  }
  std::vector<uint16_t> at;
  for (size_t i = 0; i < links.size(); ++i) at.push_back(static_cast<uint16_t>(i));
  for (size_t i = 0; i < links.size(); ++i) {
    const vring_desc descriptor = Encode(links, i, at);
    memory_.Write(table + 16 * i, &descriptor, sizeof(descriptor));
  }
  return table;
}

void VringDriver::WriteDescriptor(uint16_t index, const vring_desc& descriptor) {
  memory_.Write(desc_ + 16U * index, &descriptor, sizeof(descriptor));
}

std::optional<uint16_t> VringDriver::Add(const ChainBuilder& chain, bool indirect) {
  std::vector<ChainBuilder::Link> links = chain.links();
  Require(!links.empty(), "a chain needs a link");
  if (indirect) links = ChainBuilder().Indirect(chain).links();
  if (links.size() > free_.size()) return std::nullopt;

  std::vector<uint16_t> at(free_.end() - static_cast<std::ptrdiff_t>(links.size()), free_.end());
  free_.resize(free_.size() - links.size());
  const uint16_t head = at[0];
  Chain& record = chains_[head];
  record.live = true;
  record.writable = 0;
  for (const ChainBuilder::Link& link : links) {
    if (link.flags & VRING_DESC_F_WRITE) record.writable += link.size;
    for (const ChainBuilder::Link& inner : link.table) {
      if (inner.flags & VRING_DESC_F_WRITE) record.writable += inner.size;
    }
  }
  for (size_t i = 0; i < links.size(); ++i) {
    const vring_desc descriptor = Encode(links, i, at);
    WriteDescriptor(at[i], descriptor);
    if (!links[i].table.empty() && links[i].table.size() <= kTableEntries) record.table = descriptor.addr;
  }
  record.descriptors = std::move(at);
  ++outstanding_;
  *AvailField(kRing + 2U * (added_idx_ % entries_)) = head;
  ++added_idx_;
  return head;
}

void VringDriver::Publish() {
  avail_idx_ = added_idx_;
  Store(AvailField(kIdx), avail_idx_);
}

void VringDriver::PublishRaw(uint16_t head) {
  *AvailField(kRing + 2U * (added_idx_ % entries_)) = head;
  ++added_idx_;
  Publish();
}

void VringDriver::SetAvailIdx(uint16_t idx) {
  added_idx_ = idx;
  Publish();
}

// 2.7.10: with EVENT_IDX the device names the index it wants to hear of; without, it may ask for silence.
bool VringDriver::DeviceWantsKick() const {
  if (!event_idx_) return (Load(memory_.At(used_ + kFlags, 2)) & VRING_USED_F_NO_NOTIFY) == 0;
  const uint16_t avail_event = Load(memory_.At(used_ + kRing + 8U * entries_, 2));
  return vring_need_event(avail_event, avail_idx_, kicked_idx_) != 0;
}

bool VringDriver::Kick() {
  // The device stores its wish and then looks at avail.idx; we stored avail.idx and look at its wish.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  const bool wanted = avail_idx_ != kicked_idx_ && DeviceWantsKick();
  kicked_idx_ = avail_idx_;
  if (kick_rule_ == KickRule::kNever || (kick_rule_ == KickRule::kAsSpecified && !wanted)) return false;
  eventfd_write(kick_.get(), 1);
  return true;
}

uint16_t VringDriver::used_idx() const { return Load(memory_.At(used_ + kIdx, 2)); }

bool VringDriver::HasUsed() const { return used_idx() != last_used_; }

std::optional<VringDriver::Used> VringDriver::Reap() {
  const uint16_t pending = static_cast<uint16_t>(used_idx() - last_used_);
  if (pending == 0) return std::nullopt;
  if (pending > entries_) {
    Violated("used.idx jumped by " + std::to_string(pending));
    return std::nullopt;
  }
  vring_used_elem element;
  std::memcpy(&element, memory_.At(used_ + kRing + 8U * (last_used_ % entries_), 8), sizeof(element));
  ++last_used_;
  ++reaped_;
  if (element.id >= entries_ || !chains_[element.id].live) {
    Violated("chain " + std::to_string(element.id) + " was returned but not outstanding");
    return Used{0xffff, 0};
  }
  Chain& chain = chains_[element.id];
  if (element.len > chain.writable) {
    Violated("used length " + std::to_string(element.len) + " for " + std::to_string(chain.writable) +
             " writable bytes");
  }
  chain.live = false;
  --outstanding_;
  for (auto i = chain.descriptors.rbegin(); i != chain.descriptors.rend(); ++i) free_.push_back(*i);
  if (chain.table != 0) spare_tables_.push_back(std::exchange(chain.table, 0));
  return Used{static_cast<uint16_t>(element.id), element.len};
}

bool VringDriver::EnableInterrupts() {
  Store(AvailField(kFlags), 0);
  Store(AvailField(kRing + 2U * entries_), last_used_);  // used_event; ignored without EVENT_IDX
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return !HasUsed();
}

void VringDriver::DisableInterrupts() {
  Store(AvailField(kFlags), VRING_AVAIL_F_NO_INTERRUPT);
  // As far ahead as the 16 bits allow (2.7.7.1).
  Store(AvailField(kRing + 2U * entries_), static_cast<uint16_t>(last_used_ - 1));
}

bool VringDriver::TakeInterrupt() {
  const bool former = Drain(former_call_);
  const bool current = Drain(call_);
  return std::exchange(called_, false) || former || current;
}

}  // namespace kinsock::testing
