// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_POINT_COUNTERS_H_
#define KINSOCK_CAPTURE_POINT_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/counter.h"

namespace kinsock {

// What one capture has seen and lost at each point, as one thread counts it. A fixed table, in which a point keeps its
// place: counting allocates nothing. One writer; any number of readers.
class PointCounters {
 public:
  // Two for each of 1,500 VMs, and room to find them fast. Beyond: what is seen at further points is counted together.
  static constexpr size_t kSlots = 4096;
  static constexpr size_t kMaxPoints = kSlots / 4 * 3;

  struct Counts {
    Counter seen;  // packets that the filter let pass
    Counter lost;  // of these, those for which there was no room
  };

  // The writer's. Of the point with this key (CapturePoint::key()).
  Counts& Of(uint64_t key) {
    if (last_ != nullptr && key == last_key_) return *last_;
    last_key_ = key;
    last_ = &Find(key);
    return *last_;
  }

  // Calls `visit(key, counts)` for each point; key 0: the further ones.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t i = 0; i < kSlots; ++i) {
      const uint64_t key = slots_[i].key.load(std::memory_order_acquire);
      if (key != 0) visit(key, slots_[i].counts);
    }
    if (others_.seen.value() > 0) visit(uint64_t{0}, others_);
  }

 private:
  struct Slot {
    std::atomic<uint64_t> key{0};  // 0: free
    Counts counts;
  };

  Counts& Find(uint64_t key) {
    for (size_t i = key * 0x9e3779b97f4a7c15u >> 32;; ++i) {
      Slot& slot = slots_[i % kSlots];
      const uint64_t there = slot.key.load(std::memory_order_relaxed);
      if (there == key) return slot.counts;
      if (there != 0) continue;
      if (points_ == kMaxPoints) return others_;
      ++points_;
      slot.key.store(key, std::memory_order_release);
      return slot.counts;
    }
  }

  const std::unique_ptr<Slot[]> slots_ = std::make_unique<Slot[]>(kSlots);
  Counts others_;
  size_t points_ = 0;
  uint64_t last_key_ = 0;
  Counts* last_ = nullptr;  // packets come in runs
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_POINT_COUNTERS_H_
