// SPDX-License-Identifier: Apache-2.0
#include "base/scatter_list.h"

#include <algorithm>
#include <cstring>

namespace kinsock {
namespace {

// A position in a list of segments that only moves forward.
class Cursor {
 public:
  Cursor(absl::Span<const iovec> segments, size_t offset) : segments_(segments) {
    while (!segments_.empty() && offset >= segments_.front().iov_len) {
      offset -= segments_.front().iov_len;
      segments_.remove_prefix(1);
    }
    offset_ = offset;
  }

  bool AtEnd() const { return segments_.empty(); }
  size_t Contiguous() const { return segments_.front().iov_len - offset_; }
  char* data() const { return static_cast<char*>(segments_.front().iov_base) + offset_; }

  // Precondition: size <= Contiguous().
  void Advance(size_t size) {
    offset_ += size;
    if (offset_ == segments_.front().iov_len) {
      segments_.remove_prefix(1);
      offset_ = 0;
    }
  }

 private:
  absl::Span<const iovec> segments_;
  size_t offset_ = 0;
};

}  // namespace

void ScatterList::RemovePrefix(size_t size) {
  size_ -= size;
  size_t gone = 0;
  while (size > 0 && size >= segments_[gone].iov_len) size -= segments_[gone++].iov_len;
  if (size > 0) {
    segments_[gone].iov_base = static_cast<char*>(segments_[gone].iov_base) + size;
    segments_[gone].iov_len -= size;
  }
  segments_.erase(segments_.begin(), segments_.begin() + gone);
}

void ScatterList::Truncate(size_t size) {
  size_t excess = size_ - size;
  size_ = size;
  while (excess > 0 && excess >= segments_.back().iov_len) {
    excess -= segments_.back().iov_len;
    segments_.pop_back();
  }
  if (excess > 0) segments_.back().iov_len -= excess;
}

size_t ScatterList::CopyOut(size_t offset, void* out, size_t size) const {
  if (!segments_.empty() && offset + size <= segments_.front().iov_len) {  // nearly always
    std::memcpy(out, static_cast<const char*>(segments_.front().iov_base) + offset, size);
    return size;
  }
  char* next = static_cast<char*>(out);
  size_t left = size;
  for (Cursor from(segments_, offset); left > 0 && !from.AtEnd();) {
    const size_t n = std::min(left, from.Contiguous());
    std::memcpy(next, from.data(), n);
    from.Advance(n);
    next += n;
    left -= n;
  }
  return size - left;
}

size_t ScatterList::CopyIn(size_t offset, const void* in, size_t size) {
  if (!segments_.empty() && offset + size <= segments_.front().iov_len) {
    std::memcpy(static_cast<char*>(segments_.front().iov_base) + offset, in, size);
    return size;
  }
  const char* next = static_cast<const char*>(in);
  size_t left = size;
  for (Cursor to(segments_, offset); left > 0 && !to.AtEnd();) {
    const size_t n = std::min(left, to.Contiguous());
    std::memcpy(to.data(), next, n);
    to.Advance(n);
    next += n;
    left -= n;
  }
  return size - left;
}

void CopyBytes(const ScatterList& from, size_t from_offset, ScatterList& to, size_t to_offset, size_t size) {
  if (size == 0) return;
  const iovec& first_from = from.segments().front();
  const iovec& first_to = to.segments().front();
  if (from_offset + size <= first_from.iov_len && to_offset + size <= first_to.iov_len) {
    std::memcpy(static_cast<char*>(first_to.iov_base) + to_offset,
                static_cast<const char*>(first_from.iov_base) + from_offset, size);
    return;
  }
  Cursor source(from.segments(), from_offset);
  Cursor target(to.segments(), to_offset);
  while (size > 0) {
    const size_t n = std::min({size, source.Contiguous(), target.Contiguous()});
    std::memcpy(target.data(), source.data(), n);
    source.Advance(n);
    target.Advance(n);
    size -= n;
  }
}

}  // namespace kinsock
