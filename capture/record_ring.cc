// SPDX-License-Identifier: Apache-2.0
#include "capture/record_ring.h"

#include <cstring>

namespace kinsock {

RecordRing::RecordRing(size_t bytes) : mask_(bytes - 1), bytes_(std::make_unique_for_overwrite<char[]>(bytes)) {}

bool RecordRing::HasRoom(uint64_t until) {
  if (until - read_seen_ <= capacity()) return true;
  read_seen_ = read_.load(std::memory_order_acquire);
  return until - read_seen_ <= capacity();
}

char* RecordRing::Reserve(size_t bytes) {
  const size_t size = (sizeof(Prefix) + bytes + 7) & ~size_t{7};
  if (size > capacity()) return nullptr;
  uint64_t begin = written_.load(std::memory_order_relaxed);
  const size_t to_end = capacity() - (begin & mask_);
  const bool wraps = size > to_end;
  if (!HasRoom(begin + size + (wraps ? to_end : 0))) return nullptr;
  if (wraps) {
    const Prefix padding{static_cast<uint32_t>(to_end), 1};
    std::memcpy(At(begin), &padding, sizeof(padding));
    begin += to_end;
  }
  const Prefix prefix{static_cast<uint32_t>(size), 0};
  std::memcpy(At(begin), &prefix, sizeof(prefix));
  end_ = begin + size;
  return At(begin) + sizeof(Prefix);
}

void RecordRing::Commit() { written_.store(end_, std::memory_order_release); }

size_t RecordRing::Used(size_t at_least) {
  const uint64_t written = written_.load(std::memory_order_relaxed);
  if (written - read_seen_ >= at_least) read_seen_ = read_.load(std::memory_order_acquire);
  return written - read_seen_;
}

absl::Span<const char> RecordRing::Front() {
  uint64_t read = read_.load(std::memory_order_relaxed);
  for (;;) {
    if (read == written_seen_) {
      written_seen_ = written_.load(std::memory_order_acquire);
      if (read == written_seen_) return {};
    }
    Prefix prefix;
    std::memcpy(&prefix, At(read), sizeof(prefix));
    if (prefix.padding == 0) return {At(read) + sizeof(prefix), prefix.size - sizeof(prefix)};
    read += prefix.size;
    read_.store(read, std::memory_order_release);
  }
}

void RecordRing::Pop() {
  const uint64_t read = read_.load(std::memory_order_relaxed);
  Prefix prefix;
  std::memcpy(&prefix, At(read), sizeof(prefix));
  read_.store(read + prefix.size, std::memory_order_release);
}

}  // namespace kinsock
