// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_SCATTER_LIST_H_
#define KINSOCK_BASE_SCATTER_LIST_H_

#include <sys/uio.h>

#include <cstddef>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace kinsock {

// Bytes that lie in several places, in order: guest buffers, mostly. They are moved as a whole, never looked
// at: a guest may change them at any time, so whoever wants to read a value copies it out once and uses the
// copy. Does not own the bytes. Not thread-safe.
class ScatterList {
 public:
  void Append(void* data, size_t size) {
    if (size == 0) return;
    segments_.push_back({data, size});
    size_ += size;
  }

  // Takes `size` bytes off the front. Precondition: size <= this->size().
  void RemovePrefix(size_t size);

  // Keeps the first `size` bytes. Precondition: size <= this->size().
  void Truncate(size_t size);

  void Clear() {
    segments_.clear();
    size_ = 0;
  }

  size_t size() const { return size_; }

  // For system calls and copies only.
  absl::Span<const iovec> segments() const { return segments_; }

  // Copies up to `size` bytes from `offset` to `out`; returns how many there were.
  size_t CopyOut(size_t offset, void* out, size_t size) const;

  // Copies up to `size` bytes from `in` to `offset`; returns how many fitted.
  size_t CopyIn(size_t offset, const void* in, size_t size);

 private:
  // A packet of Linux is one or two pieces; anything longer moves to the heap and stays there for reuse.
  absl::InlinedVector<iovec, 3> segments_;
  size_t size_ = 0;
};

// Copies `size` bytes, from `from_offset` of `from` to `to_offset` of `to`. Both must have as many.
void CopyBytes(const ScatterList& from, size_t from_offset, ScatterList& to, size_t to_offset, size_t size);

}  // namespace kinsock

#endif  // KINSOCK_BASE_SCATTER_LIST_H_
