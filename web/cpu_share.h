// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_CPU_SHARE_H_
#define KINSOCK_WEB_CPU_SHARE_H_

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace kinsock {

// Whether a thread has spent no more than its share of a processor lately: a bucket that time fills and work empties.
//
// Thread: one.
class CpuShare {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  // `share`: of a processor, above 0; `burst`: what may be spent beyond it for a moment.
  CpuShare(double share, Nanoseconds burst) : share_(share), burst_(burst), left_(burst) {}

  // `now`, and what the thread has spent until now since it began. False: it has spent too much.
  bool HasRoom(MonotonicTime now, Nanoseconds spent) {
    if (!begun_) {
      begun_ = true;
    } else {
      const auto granted = std::chrono::duration_cast<Nanoseconds>((now - then_) * share_);
      left_ = std::min(burst_, left_ + granted) - (spent - spent_);
      // Whatever it has done: after so long it may go on.
      left_ = std::max(left_, -burst_);
    }
    then_ = now;
    spent_ = spent;
    return left_ > Nanoseconds::zero();
  }

 private:
  const double share_;
  const Nanoseconds burst_;
  Nanoseconds left_;
  bool begun_ = false;
  MonotonicTime then_{};
  Nanoseconds spent_{0};
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_CPU_SHARE_H_
