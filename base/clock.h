// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_CLOCK_H_
#define KINSOCK_BASE_CLOCK_H_

#include <chrono>

namespace kinsock {

// A point on the monotonic clock: never set back, blind to the wall clock.
using MonotonicTime = std::chrono::steady_clock::time_point;

// Where an event loop takes its time from, so that tests can turn the hands. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;

  // The machine's CLOCK_MONOTONIC; lives for ever.
  static const Clock& Monotonic();
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_CLOCK_H_
