// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_COUNTER_H_
#define KINSOCK_BASE_COUNTER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kinsock {

// What two threads write apart from each other lies on lines of its own, so that neither waits for the other's cache.
inline constexpr size_t kCacheLineBytes = 64;

// A statistic with one writer at a time (a thread, or the holder of a lock) and any number of readers. Adding
// costs a plain load and store, not a locked instruction. It only grows; 64 bits do not wrap.
class Counter {
 public:
  void Add(uint64_t n = 1) { value_.store(value() + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A statistic that several threads write at the same time. Adding is a locked instruction: for what happens a few
// times in the life of a connection, not for each packet.
class SharedCounter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_COUNTER_H_
