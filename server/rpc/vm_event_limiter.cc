// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/vm_event_limiter.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {

VmEventLimiter::VmEventLimiter(EventLoop& main, Summary summary, std::function<void(v1::Event)> tell)
    : main_(main), summary_(std::move(summary)), tell_(std::move(tell)) {}

VmEventLimiter::~VmEventLimiter() {
  if (timer_.has_value()) main_.Cancel(*timer_);
}

void VmEventLimiter::Add(const Vm& vm, v1::Event event) {
  const MonotonicTime now = main_.clock().Now();
  Entry& entry = EntryOf(vm);
  if (!entry.events.Take(now) || !events_.Take(now)) {
    ++entry.suppressed;
    return;
  }
  tell_(std::move(event));
}

void VmEventLimiter::Suppress(const Vm& vm, uint64_t count) {
  if (count > 0) EntryOf(vm).suppressed += count;
}

void VmEventLimiter::Forget(const std::string& uid) {
  const auto found = vms_.find(uid);
  if (found == vms_.end()) return;
  if (found->second.suppressed > 0 && !TellCount(found->second, main_.clock().Now())) {
    Suppress(Vm(), found->second.suppressed);
  }
  vms_.erase(found);
}

VmEventLimiter::Entry& VmEventLimiter::EntryOf(const Vm& vm) {
  Entry& entry = vms_[vm.uid];
  entry.name = vm.name;
  entry.last_event = main_.clock().Now();
  Arm();
  return entry;
}

void VmEventLimiter::Arm() {
  if (!timer_.has_value()) timer_ = main_.RunAfter(kInterval, [this] { Tick(); });
}

void VmEventLimiter::Tick() {
  timer_.reset();
  const MonotonicTime now = main_.clock().Now();
  // Once round, from whose turn it is.
  auto entry = vms_.lower_bound(std::exchange(next_, ""));
  for (size_t left = vms_.size(); left > 0; --left) {
    if (entry == vms_.end()) entry = vms_.begin();
    Entry& one = entry->second;
    const bool due = one.suppressed > 0 && (!one.counted_at.has_value() || now - *one.counted_at >= kPerCount);
    if (due && !TellCount(one, now) && next_.empty()) next_ = entry->first;
    const bool quiet = one.suppressed == 0 && now - one.last_event >= kPerEvent * kBurst;
    entry = quiet ? vms_.erase(entry) : std::next(entry);
  }
  if (!vms_.empty()) Arm();
}

bool VmEventLimiter::TellCount(Entry& entry, MonotonicTime now) {
  if (!counts_.Take(now)) return false;
  entry.counted_at = now;
  const uint64_t count = std::exchange(entry.suppressed, 0);
  v1::Event event;
  event.set_type(summary_.type);
  event.set_severity(summary_.severity);
  event.set_object(entry.name.empty() ? "connections" : entry.name);
  event.set_reason(summary_.reason);
  event.set_message(absl::StrCat(entry.name.empty() ? "VMs that are gone" : entry.name, ": ", count, " more ",
                                 summary_.what, " than are told one by one"));
  (*event.mutable_fields())["count"] = absl::StrCat(count);
  tell_(std::move(event));
  return true;
}

}  // namespace kinsock
