// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/event_limiter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {

EventLimiter::Summary EventLimiter::OfDenials(std::string object) {
  return {.type = v1::Event::DENIAL,
          .severity = v1::Event::WARNING,
          .object = std::move(object),
          .reason = "DENIALS_SUPPRESSED",
          .what = "denials"};
}

EventLimiter::EventLimiter(EventLoop& main, EventLog& log, Summary summary)
    : main_(main), log_(log), summary_(std::move(summary)) {}

EventLimiter::~EventLimiter() {
  if (timer_.has_value()) main_.Cancel(*timer_);
}

void EventLimiter::Add(v1::Event event) {
  if (left_ == 0) return Suppress(1);
  --left_;
  log_.Add(std::move(event));
  if (!timer_.has_value()) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

void EventLimiter::Suppress(uint64_t count) {
  if (count == 0) return;
  suppressed_ += count;
  if (!timer_.has_value()) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

void EventLimiter::Tick() {
  timer_.reset();
  if (suppressed_ > 0) {
    v1::Event event;
    event.set_type(summary_.type);
    event.set_severity(summary_.severity);
    event.set_object(summary_.object);
    event.set_reason(summary_.reason);
    event.set_message(absl::StrCat(suppressed_, " more ", summary_.what, " than are told one by one"));
    (*event.mutable_fields())["count"] = absl::StrCat(std::exchange(suppressed_, 0));
    log_.Add(std::move(event));
  }
  left_ = std::min(kBurst, left_ + kPerSecond);
  if (left_ < kBurst) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

}  // namespace kinsock
