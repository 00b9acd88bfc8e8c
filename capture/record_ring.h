// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_RECORD_RING_H_
#define KINSOCK_CAPTURE_RECORD_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "base/counter.h"

namespace kinsock {

// Records of any length from one thread to another, first in, first out, in a fixed piece of memory. Neither side waits
// for the other, locks, or allocates: the writer of a ring that is full is told so at once. Each record lies in one
// piece, so that it can be made in its place. One writer and one reader at a time.
//
//     | size | record | size | record | (unused, to the end) |
//            ^ multiples of 8 bytes
class RecordRing {
 public:
  // `bytes`: a power of two, 64 or more.
  explicit RecordRing(size_t bytes);

  // --- The writer's. ---

  // Room for a record of `bytes`, aligned to 8; null: there is none now. Nothing is seen before Commit(); another
  // Reserve() without it takes the place of this one.
  char* Reserve(size_t bytes);
  // What Reserve() gave is a record.
  void Commit();
  // Bytes in use, at most: the reader may have gone on since the writer looked last, which it does again when this is
  // `at_least`.
  size_t Used(size_t at_least);
  size_t capacity() const { return mask_ + 1; }

  // --- The reader's. ---

  // The oldest record, as long as it was reserved, rounded up to 8; empty: there is none. It stays until Pop().
  absl::Span<const char> Front();
  // Precondition: there is one, which Front() has told.
  void Pop();

 private:
  // In front of each record. `size`: with this, multiple of 8. `padding`: there is none, go on at the beginning.
  struct Prefix {
    uint32_t size;
    uint32_t padding;
  };

  char* At(uint64_t position) { return &bytes_[position & mask_]; }
  bool HasRoom(uint64_t until);

  const size_t mask_;
  const std::unique_ptr<char[]> bytes_;  // pages that were never used are none
  // The writer's, and what it has seen of the reader's. Positions count on; they do not wrap in a lifetime.
  alignas(kCacheLineBytes) std::atomic<uint64_t> written_{0};
  uint64_t end_ = 0;  // of the record that is reserved
  uint64_t read_seen_ = 0;
  // The reader's, and what it has seen of the writer's.
  alignas(kCacheLineBytes) std::atomic<uint64_t> read_{0};
  uint64_t written_seen_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_RECORD_RING_H_
