// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_COPY_POOL_H_
#define KINSOCK_CAPTURE_COPY_POOL_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "router/vsock_header.h"

namespace kinsock {

// Memory for copies of payload. It is kept for the next one: allocated anew for each packet, the longest ones would
// have their pages from the kernel each time. Sizes are powers of two. One thread's.
class CopyPool {
 public:
  static constexpr uint32_t kLeastBytes = 256;
  // What is kept while nobody uses it: a batch of the longest packets. Beyond: it is freed.
  static constexpr size_t kMaxIdleBytes = 4u << 20;

  struct Copy {
    std::unique_ptr<char[]> bytes;
    uint32_t size = 0;
  };

  // What Take() gives for so many bytes, 1 to kMaxPayloadBytes.
  static uint32_t SizeFor(uint32_t bytes) { return std::bit_ceil(bytes < kLeastBytes ? kLeastBytes : bytes); }

  Copy Take(uint32_t bytes) {
    const uint32_t size = SizeFor(bytes);
    std::vector<std::unique_ptr<char[]>>& idle = idle_[ClassOf(size)];
    if (idle.empty()) return {std::make_unique_for_overwrite<char[]>(size), size};
    Copy copy{std::move(idle.back()), size};
    idle.pop_back();
    idle_bytes_ -= size;
    return copy;
  }

  // Takes back what Take() of any pool gave.
  void Give(Copy copy) {
    if (idle_bytes_ + copy.size > kMaxIdleBytes) return;
    idle_bytes_ += copy.size;
    idle_[ClassOf(copy.size)].push_back(std::move(copy.bytes));
  }

  void Clear() {
    for (auto& idle : idle_) idle.clear();
    idle_bytes_ = 0;
  }

  size_t idle_bytes() const { return idle_bytes_; }

 private:
  static_assert(std::has_single_bit(kMaxPayloadBytes));
  static constexpr size_t kClasses = std::countr_zero(kMaxPayloadBytes / kLeastBytes) + 1;
  static size_t ClassOf(uint32_t size) { return static_cast<size_t>(std::countr_zero(size / kLeastBytes)); }

  std::array<std::vector<std::unique_ptr<char[]>>, kClasses> idle_;
  size_t idle_bytes_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_COPY_POOL_H_
