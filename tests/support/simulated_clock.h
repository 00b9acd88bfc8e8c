// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_SIMULATED_CLOCK_H_
#define KINSOCK_TESTS_SUPPORT_SIMULATED_CLOCK_H_

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace kinsock::testing {

// A clock whose hands only the test turns. Any thread.
class SimulatedClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    return MonotonicTime(MonotonicTime::duration(since_start_.load(std::memory_order_acquire)));
  }

  void Advance(std::chrono::nanoseconds by) {
    const auto ticks = std::chrono::duration_cast<MonotonicTime::duration>(by).count();
    since_start_.fetch_add(ticks, std::memory_order_acq_rel);
  }

 private:
  // Not zero: zero is what a forgotten initialisation looks like.
  std::atomic<MonotonicTime::rep> since_start_{
      std::chrono::duration_cast<MonotonicTime::duration>(std::chrono::hours(1)).count()};
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_SIMULATED_CLOCK_H_
