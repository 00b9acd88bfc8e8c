// SPDX-License-Identifier: Apache-2.0
#include "server/manager/event_hub.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/model/resource_version.h"
#include "server/status/error.h"

namespace kinsock {

EventHub::EventHub(std::string epoch, Limits limits) : epoch_(std::move(epoch)), limits_(limits) {}

EventHub::~EventHub() = default;

void EventHub::Publish(VmEvent event) {
  if (observer_ != nullptr) observer_(event);
  const std::string& uid = event.vm->definition->uid;
  if (const auto before = newest_.find(uid); before != newest_.end()) Overtake(before->second);
  ++head_;
  newest_[uid] = head_;
  if (event.type == VmEvent::Type::kDeleted) deleted_bytes_ += event.vm->definition->approximate_size();
  const bool creation = event.type == VmEvent::Type::kAdded;
  std::string key = uid;
  ring_.push_back({std::move(event), creation, std::move(key)});
  Trim();

  for (Subscription* subscriber : subscribers_) {
    ++subscriber->lag_;
    const bool lost = subscriber->lag_ > limits_.max_lag || subscriber->cursor_ < oldest();
    const bool call = std::exchange(subscriber->wants_call_, false) || (lost && !subscriber->lagged_);
    if (lost && !std::exchange(subscriber->lagged_, true)) ++lagged_;
    if (call) subscriber->on_ready_();
  }
}

void EventHub::Overtake(uint64_t version) {
  if (version <= oldest()) return;
  At(version).event.vm = nullptr;
  for (Subscription* subscriber : subscribers_) {
    if (version > subscriber->cursor_ && version > subscriber->born_at_) --subscriber->lag_;
  }
}

void EventHub::Trim() {
  while (ring_.size() > limits_.ring_events || deleted_bytes_ > limits_.ring_bytes) {
    const Entry& entry = ring_.front();
    if (entry.event.vm != nullptr) {
      if (entry.event.type == VmEvent::Type::kDeleted) {
        deleted_bytes_ -= entry.event.vm->definition->approximate_size();
      }
      newest_.erase(entry.uid);
    }
    ring_.pop_front();
  }
}

absl::StatusOr<std::unique_ptr<EventHub::Subscription>> EventHub::Subscribe(uint64_t after,
                                                                            std::function<void()> on_ready) {
  if (!closed_.ok()) return closed_;
  if (subscribers_.size() >= limits_.max_subscribers) {
    return QuotaExceeded("watches", limits_.max_subscribers, "end some of them, or share one watch");
  }
  if (after > head_) {
    return FieldsInvalid("", {{"resource_version", "is of the future; take one that this daemon has sent"}});
  }
  if (after < oldest()) {
    const std::string oldest_version = ResourceVersion{epoch_, oldest()}.ToString();
    return Error(absl::StatusCode::kOutOfRange, "RESOURCE_VERSION_EXPIRED",
                 absl::StrCat("version ", ResourceVersion{epoch_, after}.ToString(),
                              " is no longer remembered, the oldest is ", oldest_version,
                              "; watch again without a version"))
        .With("oldest", oldest_version);
  }
  return std::unique_ptr<Subscription>(new Subscription(*this, after, std::move(on_ready)));
}

void EventHub::Close(absl::Status reason) {
  closed_ = std::move(reason);
  for (Subscription* subscriber : subscribers_) subscriber->on_ready_();
}

EventHub::Subscription::Subscription(EventHub& hub, uint64_t after, std::function<void()> on_ready)
    : hub_(hub), cursor_(after), born_at_(hub.head_), on_ready_(std::move(on_ready)) {
  hub_.subscribers_.insert(this);
}

EventHub::Subscription::~Subscription() { hub_.subscribers_.erase(this); }

absl::Status EventHub::Subscription::status() const {
  if (!hub_.closed_.ok() || !lagged_) return hub_.closed_;
  return Error(absl::StatusCode::kResourceExhausted, "WATCH_LAGGED",
               absl::StrCat("this watch reads too slowly: more than ", hub_.limits_.max_lag,
                            " changed VMs wait for it; resume after the last version that it received"));
}

absl::StatusOr<std::vector<VmEvent>> EventHub::Subscription::Take(size_t max) {
  if (absl::Status over = status(); !over.ok()) return over;
  std::vector<VmEvent> events;
  while (cursor_ < hub_.head_ && events.size() < max) {
    Entry& entry = hub_.At(++cursor_);
    if (entry.event.vm == nullptr) {
      if (entry.creation) untold_.insert(entry.uid);
      continue;
    }
    if (cursor_ > born_at_) --lag_;
    VmEvent event = entry.event;
    if (!untold_.empty() && untold_.erase(entry.uid) > 0) {
      // It came and went while nobody looked.
      if (event.type == VmEvent::Type::kDeleted) continue;
      event.type = VmEvent::Type::kAdded;
    }
    events.push_back(std::move(event));
  }
  wants_call_ = events.empty();
  return events;
}

}  // namespace kinsock
