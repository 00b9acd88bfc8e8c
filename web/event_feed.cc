// SPDX-License-Identifier: Apache-2.0
#include "web/event_feed.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "server/status/error.h"

namespace kinsock {
namespace {

// Handed on at a time.
constexpr size_t kBatch = 256;

}  // namespace

EventFeed::EventFeed(EventLoop& main, EventLog& log, Deliver deliver)
    : main_(main), ring_(*log.source().ring), deliver_(std::move(deliver)), self_(std::make_shared<EventFeed*>(this)) {
  Follow(ring_.oldest());
}

bool EventFeed::IsForViewers(const v1::Event& event) {
  const bool kind = event.type() == v1::Event::LIFECYCLE || event.type() == v1::Event::DENIAL;
  // What is said of the daemon itself may quote its configuration.
  return kind && !event.has_actor() && event.object() != "daemon";
}

void EventFeed::Follow(uint64_t after) {
  const auto on_ready = [this] {
    // Not from within the ring.
    main_.Post([self = std::weak_ptr<EventFeed*>(self_)] {
      if (const std::shared_ptr<EventFeed*> feed = self.lock(); feed != nullptr) (*feed)->Pump();
    });
  };
  auto subscription = ring_.Subscribe(after, on_ready);
  // The ring is closed, or has as many watches as it may: then nothing is told, which the first event shows.
  subscription_ = subscription.ok() ? *std::move(subscription) : nullptr;
  if (subscription_ != nullptr) on_ready();
}

void EventFeed::Pump() {
  if (subscription_ == nullptr) return;
  if (const absl::Status status = subscription_->status(); !status.ok()) {
    const uint64_t cursor = subscription_->cursor();
    subscription_ = nullptr;
    // More came at once than a watch may be behind: what is still remembered comes next.
    if (ErrorReason(status) == "WATCH_LAGGED") Follow(std::max(cursor, ring_.oldest()));
    return;
  }
  for (;;) {
    std::vector<Numbered> items = subscription_->Take(kBatch);
    if (items.empty()) return;
    items.erase(std::remove_if(items.begin(), items.end(),
                               [](const Numbered& numbered) { return !IsForViewers(*numbered.item); }),
                items.end());
    if (!items.empty()) deliver_(std::move(items));
  }
}

}  // namespace kinsock
