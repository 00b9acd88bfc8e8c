// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_DURATION_HISTOGRAM_H_
#define KINSOCK_BASE_DURATION_HISTOGRAM_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "base/counter.h"

namespace kinsock {

// What a DurationHistogram has counted by a moment, or several of the same bounds together. Plain value; empty until
// something is added.
struct DurationCounts {
  std::span<const std::chrono::nanoseconds> bounds;  // static storage
  std::vector<uint64_t> counts;  // [i]: at most bounds[i], and more than the bound before; the last has no bound
  std::chrono::nanoseconds sum{0};

  DurationCounts& operator+=(const DurationCounts& more) {
    if (more.counts.empty()) return *this;
    bounds = more.bounds;
    counts.resize(more.counts.size());
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += more.counts[i];
    sum += more.sum;
    return *this;
  }
  uint64_t total() const {
    uint64_t all = 0;
    for (const uint64_t count : counts) all += count;
    return all;
  }
};

// How long something took, each time, by classes of which `kBounds`, ascending, are the upper bounds. `Number`:
// Counter, when one thread at a time adds, or SharedCounter. Adding is a few comparisons and two additions: no lock, no
// allocation. Anyone may read; what is added meanwhile is in it, or in part, or not.
template <typename Number, const auto& kBounds>
class DurationHistogram {
 public:
  void Add(std::chrono::nanoseconds took) {
    size_t i = 0;
    while (i < std::size(kBounds) && took > kBounds[i]) ++i;
    counts_[i].Add();
    // A clock that went back is not to take away from the sum.
    if (took.count() > 0) sum_.Add(static_cast<uint64_t>(took.count()));
  }

  DurationCounts Read() const {
    DurationCounts read;
    read.bounds = kBounds;
    for (const Number& count : counts_) read.counts.push_back(count.value());
    read.sum = std::chrono::nanoseconds(sum_.value());
    return read;
  }

 private:
  std::array<Number, std::size(kBounds) + 1> counts_;
  Number sum_;  // nanoseconds
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_DURATION_HISTOGRAM_H_
