// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_FAST_RING_H_
#define KINSOCK_BENCH_FAST_RING_H_

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>

#include "tests/support/shared_memory.h"
#include "tests/support/uapi.h"
#include "tests/support/vring_driver.h"

namespace kinsock::bench {

// The driver's side of a split virtqueue with EVENT_IDX, as cheap as it can be made: what a measurement spends
// here it does not spend in the back-end. Descriptors are laid out once by the owner; posting one is a store.
// One thread.
class FastRing {
 public:
  struct Used {
    uint16_t head;
    uint32_t written;
  };

  // Works in the memory and with the eventfds of `ring`, whose own bookkeeping is not used. Not owned.
  FastRing(testing::SharedMemory& memory, const testing::VringDriver& ring)
      : ring_(ring),
        size_(ring.entries()),
        desc_(reinterpret_cast<vring_desc*>(memory.At(ring.desc_gpa(), 16u * size_))),
        avail_(reinterpret_cast<uint16_t*>(memory.At(ring.avail_gpa(), 6u + 2u * size_))),
        used_(memory.At(ring.used_gpa(), 6u + 8u * size_)) {}

  vring_desc& desc(uint16_t index) { return desc_[index]; }
  uint16_t size() const { return size_; }

  // Offers the chain that begins at `head`. Seen by the device after Publish().
  void Post(uint16_t head) { avail_[2 + (posted_++ & (size_ - 1))] = head; }

  // Makes what was posted visible.
  void Show() {
    published_ = posted_;
    Field(avail_[1]).store(posted_, std::memory_order_release);
  }

  // The same, and kicks if the device asked for it.
  void Publish() {
    if (posted_ == published_) return;
    const uint16_t before = published_;
    Show();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const uint16_t event = Field(*reinterpret_cast<uint16_t*>(used_ + 4 + 8u * size_)).load();
    if (static_cast<uint16_t>(posted_ - event - 1) < static_cast<uint16_t>(posted_ - before)) Kick();
  }

  void Kick() { eventfd_write(ring_.kick_fd(), 1); }

  // The next chain that the device has returned. False if there is none.
  bool Reap(Used& used) {
    if (reaped_ == UsedIndex()) return false;
    const auto* element = reinterpret_cast<const vring_used_elem*>(used_ + 4 + 8u * (reaped_ & (size_ - 1)));
    used = {static_cast<uint16_t>(element->id), element->len};
    ++reaped_;
    return true;
  }

  // Asks for an interrupt with the next returned chain. False if there is one already.
  bool AwaitUsed() {
    Field(avail_[2 + size_]).store(reaped_, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return reaped_ == UsedIndex();
  }

  int call_fd() const { return ring_.call_fd(); }

 private:
  static std::atomic_ref<uint16_t> Field(uint16_t& field) { return std::atomic_ref<uint16_t>(field); }
  uint16_t UsedIndex() const { return Field(*reinterpret_cast<uint16_t*>(used_ + 2)).load(std::memory_order_acquire); }

  const testing::VringDriver& ring_;
  const uint16_t size_;
  vring_desc* const desc_;
  uint16_t* const avail_;
  std::byte* const used_;
  uint16_t posted_ = 0;
  uint16_t published_ = 0;
  uint16_t reaped_ = 0;
};

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_FAST_RING_H_
