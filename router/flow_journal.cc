// SPDX-License-Identifier: Apache-2.0
#include "router/flow_journal.h"

#include <utility>

namespace kinsock {

FlowJournal::FlowJournal(EventLoop& loop, uint16_t reactor, const Clock& clock)
    : clock_(clock), next_id_((uint64_t{reactor} << 48) + 1), take_(Wakeup::Create(loop, [this] { Take(); })) {}

FlowJournal::~FlowJournal() {
  take_->Disarm();
  Take();  // frees them
}

void FlowJournal::Closed(const FlowInfo& info) {
  if (untaken_count_.fetch_add(1, std::memory_order_relaxed) >= kMaxUntaken) {
    untaken_count_.fetch_sub(1, std::memory_order_relaxed);
    return forgotten_.Add();
  }
  auto* entry = new Entry{.info = info, .forget_at = clock_.Now() + kKeep};
  Entry* head = untaken_.load(std::memory_order_relaxed);
  do {
    entry->next = head;
  } while (!untaken_.compare_exchange_weak(head, entry, std::memory_order_release, std::memory_order_relaxed));
  take_->Notify();
}

void FlowJournal::Refused(const FlowInfo::End& initiator, const FlowInfo::End& target, uint16_t type,
                          CloseReason reason, std::shared_ptr<const Policy> denied_by) {
  FlowInfo info;
  info.id = NextId();
  info.type = type;
  info.state = FlowInfo::State::kClosed;
  info.close_reason = reason;
  info.decided_by = std::move(denied_by);
  info.initiator = initiator;
  info.target = target;
  info.start_time = info.close_time = std::chrono::system_clock::now();
  Take();  // what ended before
  TakeOver(std::unique_ptr<Entry>(new Entry{.info = std::move(info), .forget_at = clock_.Now() + kKeep}));
}

void FlowJournal::Take() {
  Entry* newest = untaken_.exchange(nullptr, std::memory_order_acquire);
  Entry* oldest = nullptr;
  while (newest != nullptr) {  // back into the order in which they came
    Entry* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Entry* next = oldest->next;
    untaken_count_.fetch_sub(1, std::memory_order_relaxed);
    TakeOver(std::unique_ptr<Entry>(oldest));
    oldest = next;
  }
  ForgetExpired();
}

void FlowJournal::TakeOver(std::unique_ptr<Entry> entry) {
  pairs_.Add(entry->info);
  for (absl::flat_hash_set<uint64_t>* ended : noting_) ended->insert(entry->info.id);
  if (on_closed_ != nullptr) on_closed_(entry->info);
  Remember(std::move(entry));
}

void FlowJournal::Remember(std::unique_ptr<Entry> entry) {
  const uint64_t device = entry->info.initiator.device;
  std::deque<Age::iterator>& of_one = of_device_[device];
  of_one.push_back(closed_.insert(closed_.end(), std::move(entry)));
  if (of_one.size() > kMaxClosedOfOne) {
    forgotten_.Add();
    ForgetOldestOf(device);
  }
  if (closed_.size() > kMaxClosed) {
    forgotten_.Add();
    ForgetOldest();
  }
}

void FlowJournal::ForgetOldest() { ForgetOldestOf(closed_.front()->info.initiator.device); }

void FlowJournal::ForgetOldestOf(uint64_t device) {
  const auto of_one = of_device_.find(device);
  closed_.erase(of_one->second.front());
  of_one->second.pop_front();
  if (of_one->second.empty()) of_device_.erase(of_one);
}

void FlowJournal::ForgetExpired() {
  const MonotonicTime now = clock_.Now();
  while (!closed_.empty() && closed_.front()->forget_at <= now) ForgetOldest();
}

void FlowJournal::Describe(std::vector<FlowInfo>& flows) {
  Take();
  for (const std::unique_ptr<Entry>& entry : closed_) flows.push_back(entry->info);
}

const FlowInfo* FlowJournal::Find(uint64_t id) {
  Take();
  for (const std::unique_ptr<Entry>& entry : closed_) {
    if (entry->info.id == id) return &entry->info;
  }
  return nullptr;
}

}  // namespace kinsock
