// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_ALLOWANCE_H_
#define KINSOCK_BASE_ALLOWANCE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/clock.h"

namespace kinsock {

// How often something may be told that guests, VMMs or clients can make happen without end: `burst` times at once, and
// once more in each `interval`. What is beyond is counted, for who tells the next one.
//
// One thread.
class Allowance {
 public:
  Allowance(size_t burst, std::chrono::nanoseconds interval) : burst_(burst), interval_(interval), left_(burst) {}

  // Whether it may be told now. False: it is counted.
  bool Take(MonotonicTime now) {
    if (left_ == burst_) {
      refilled_at_ = now;
    } else {
      const auto earned = (now - refilled_at_) / interval_;
      refilled_at_ += interval_ * earned;
      left_ = std::min(burst_, left_ + static_cast<size_t>(earned));
    }
    if (left_ == 0) {
      ++suppressed_;
      return false;
    }
    --left_;
    return true;
  }

  // How many were not told since this was asked last.
  uint64_t TakeSuppressed() { return std::exchange(suppressed_, 0); }

 private:
  size_t burst_;
  std::chrono::nanoseconds interval_;
  size_t left_;
  uint64_t suppressed_ = 0;
  MonotonicTime refilled_at_;
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_ALLOWANCE_H_
