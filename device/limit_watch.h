// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_LIMIT_WATCH_H_
#define KINSOCK_DEVICE_LIMIT_WATCH_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/device_stats.h"

namespace kinsock {

// Tells whether a limit of a VM's quota has held something back lately, and which, and whether its control allowance
// was spent. Nothing is looked at while none does: the first time wakes it up, and it looks at the counters every
// kLately until they stand still. Thread: the device's reactor.
class LimitWatch {
 public:
  // For how long a limit is named after it was hit. Long enough to be seen by who looks now and then, and not to be
  // told anew at each packet.
  static constexpr std::chrono::seconds kLately{2};

  // `on_change`: the limit that was hit lately, or kNone, and whether the allowance was spent. Those that are not owned
  // outlive this.
  LimitWatch(EventLoop& loop, const DeviceStats& stats, std::function<void(QuotaLimit, bool flooding)> on_change);
  ~LimitWatch();
  LimitWatch(const LimitWatch&) = delete;
  LimitWatch& operator=(const LimitWatch&) = delete;

  // To be notified, by any thread, after a limit was counted as hit.
  const std::shared_ptr<Wakeup>& hit() const { return hit_; }

 private:
  using Counts = std::array<uint64_t, kQuotaLimits>;

  void Look();
  Counts Count() const;

  EventLoop& loop_;
  const DeviceStats& stats_;
  std::function<void(QuotaLimit, bool)> on_change_;
  std::shared_ptr<Wakeup> hit_;
  Counts seen_;
  uint64_t pauses_seen_;
  QuotaLimit limited_ = QuotaLimit::kNone;
  bool flooding_ = false;
  bool armed_ = false;
  EventLoop::TimerId timer_{};
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_LIMIT_WATCH_H_
