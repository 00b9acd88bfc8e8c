// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_LATENCY_H_
#define KINSOCK_CLI_GUEST_LATENCY_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace kinsock {

// How long something took, each time, in memory that does not grow: 32 steps for each power of two, so what it says is
// at most 3 % above what was. One thread.
class Latency {
 public:
  void Add(std::chrono::nanoseconds took);

  uint64_t count() const { return count_; }

  // What `part` of the times were at most, 0 < part <= 1; zero when there are none.
  std::chrono::nanoseconds Quantile(double part) const;
  std::chrono::nanoseconds longest() const { return longest_; }

 private:
  static constexpr size_t kSteps = 32;

  static size_t BucketOf(uint64_t nanoseconds);
  static uint64_t HighestOf(size_t bucket);

  std::array<uint64_t, 64 * kSteps> buckets_{};
  uint64_t count_ = 0;
  std::chrono::nanoseconds longest_{0};
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_LATENCY_H_
