// SPDX-License-Identifier: Apache-2.0
#include "device/limit_watch.h"

#include <cstddef>
#include <utility>

namespace kinsock {

LimitWatch::LimitWatch(EventLoop& loop, const DeviceStats& stats, std::function<void(QuotaLimit, bool)> on_change)
    : loop_(loop),
      stats_(stats),
      on_change_(std::move(on_change)),
      hit_(Wakeup::Create(loop,
                          [this] {
                            if (!armed_) Look();
                          })),
      seen_(Count()),
      pauses_seen_(stats.from_guest_limited_control.value()) {}

LimitWatch::~LimitWatch() {
  hit_->Disarm();
  if (armed_) loop_.Cancel(timer_);
}

void LimitWatch::Look() {
  const Counts now = Count();
  const Counts before = std::exchange(seen_, now);
  QuotaLimit limited = QuotaLimit::kNone;
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i] == before[i]) continue;
    // Of several, the one that was named already: two that take turns are no news.
    if (limited == QuotaLimit::kNone || static_cast<QuotaLimit>(i) == limited_) limited = static_cast<QuotaLimit>(i);
  }
  const uint64_t pauses = stats_.from_guest_limited_control.value();
  const bool flooding = std::exchange(pauses_seen_, pauses) != pauses;
  armed_ = limited != QuotaLimit::kNone || flooding;
  if (armed_) timer_ = loop_.RunAfter(kLately, [this] { Look(); });
  const bool changed = limited_ != limited || flooding_ != flooding;
  limited_ = limited;
  flooding_ = flooding;
  if (changed) on_change_(limited, flooding);
}

LimitWatch::Counts LimitWatch::Count() const {
  Counts counts{};
  const auto count = [&](QuotaLimit limit) -> uint64_t& { return counts[static_cast<size_t>(limit)]; };
  count(QuotaLimit::kConnections) =
      stats_.from_guest_limited_connections.value() + stats_.to_guest_limited_connections.value();
  count(QuotaLimit::kPendingConnections) = stats_.from_guest_limited_pending_connections.value();
  count(QuotaLimit::kBufferBytes) =
      stats_.guest_port.limited_buffered_bytes.value() + stats_.host_port.limited_buffered_bytes.value();
  count(QuotaLimit::kConnects) = stats_.from_guest_limited_connects.value() + stats_.to_guest_limited_connects.value();
  count(QuotaLimit::kBytesToGuest) = stats_.to_guest_limited_bytes.value();
  count(QuotaLimit::kBytesFromGuest) = stats_.from_guest_limited_bytes.value();
  count(QuotaLimit::kPacketsFromGuest) = stats_.from_guest_limited_packets.value();
  return counts;
}

}  // namespace kinsock
