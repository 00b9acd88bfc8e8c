// SPDX-License-Identifier: Apache-2.0
#include "server/denial_limiter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {

DenialLimiter::DenialLimiter(EventLoop& main, EventLog& log, std::string object)
    : main_(main), log_(log), object_(std::move(object)) {}

DenialLimiter::~DenialLimiter() {
  if (timer_.has_value()) main_.Cancel(*timer_);
}

void DenialLimiter::Add(v1::Event denial) {
  if (left_ == 0) return Suppress(1);
  --left_;
  log_.Add(std::move(denial));
  if (!timer_.has_value()) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

void DenialLimiter::Suppress(uint64_t count) {
  suppressed_ += count;
  if (!timer_.has_value()) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

void DenialLimiter::Tick() {
  timer_.reset();
  if (suppressed_ > 0) {
    v1::Event event;
    event.set_type(v1::Event::DENIAL);
    event.set_severity(v1::Event::WARNING);
    event.set_object(object_);
    event.set_reason("DENIALS_SUPPRESSED");
    event.set_message(absl::StrCat(suppressed_, " more denials than are told one by one"));
    (*event.mutable_fields())["count"] = absl::StrCat(std::exchange(suppressed_, 0));
    log_.Add(std::move(event));
  }
  left_ = std::min(kBurst, left_ + kPerSecond);
  if (left_ < kBurst) timer_ = main_.RunAfter(std::chrono::seconds(1), [this] { Tick(); });
}

}  // namespace kinsock
