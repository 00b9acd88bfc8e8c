// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kinsock {

size_t Latency::BucketOf(uint64_t nanoseconds) {
  if (nanoseconds < kSteps) return static_cast<size_t>(nanoseconds);
  const auto shift = static_cast<size_t>(std::bit_width(nanoseconds)) - static_cast<size_t>(std::bit_width(kSteps));
  // The upper bits are kSteps to 2 * kSteps - 1.
  return shift * kSteps + static_cast<size_t>(nanoseconds >> shift);
}

uint64_t Latency::HighestOf(size_t bucket) {
  if (bucket < 2 * kSteps) return bucket;
  const size_t shift = bucket / kSteps - 1;
  return ((bucket - shift * kSteps + 1) << shift) - 1;
}

void Latency::Add(std::chrono::nanoseconds took) {
  const auto nanoseconds = static_cast<uint64_t>(std::max<int64_t>(took.count(), 0));
  ++buckets_[BucketOf(nanoseconds)];
  ++count_;
  longest_ = std::max(longest_, took);
}

std::chrono::nanoseconds Latency::Quantile(double part) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(part * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size() && wanted > 0; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return std::min(longest_, std::chrono::nanoseconds(HighestOf(i)));
  }
  return longest_;
}

}  // namespace kinsock
