// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_CREDIT_STALL_H_
#define KINSOCK_ROUTER_CREDIT_STALL_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/counter.h"

namespace kinsock {

// How often, and for how long, one direction of a connection had to wait for credit (virtio 1.3, 5.10.6.3). A stall
// begins when the sender has used up what it was granted, and ends when it is granted more.
//
// Threads: one begins stalls, any may end them, any may read. Who begins has to look for credit again afterwards, and
// who has granted calls MayEnd() before it looks: either of the two then sees what the other has done.
class CreditStall {
 public:
  // False if one is under way.
  bool Begin(MonotonicTime now) {
    if (began_.load(std::memory_order_relaxed) != kNone) return false;
    count_.Add();
    began_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return true;
  }

  // Whether one is under way, as far as that can be known after a grant.
  bool MayEnd() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return began_.load(std::memory_order_relaxed) != kNone;
  }

  // How long it took; nothing if none is under way, or another thread has ended it.
  std::optional<std::chrono::nanoseconds> End(MonotonicTime now) {
    const int64_t began = began_.exchange(kNone, std::memory_order_relaxed);
    if (began == kNone) return std::nullopt;
    const std::chrono::nanoseconds took = now.time_since_epoch() - MonotonicTime::duration(began);
    past_.Add(static_cast<uint64_t>(took.count()));
    return took;
  }

  uint64_t count() const { return count_.value(); }

  // All stalls together, the one that is under way included.
  std::chrono::nanoseconds total(MonotonicTime now) const {
    const std::chrono::nanoseconds past(past_.value());
    const int64_t began = began_.load(std::memory_order_relaxed);
    return began == kNone ? past : past + (now.time_since_epoch() - MonotonicTime::duration(began));
  }

 private:
  static constexpr int64_t kNone = INT64_MIN;

  Counter count_;
  std::atomic<int64_t> began_{kNone};
  SharedCounter past_;  // nanoseconds
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_CREDIT_STALL_H_
