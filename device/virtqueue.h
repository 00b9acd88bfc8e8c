// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VIRTQUEUE_H_
#define KINSOCK_DEVICE_VIRTQUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "device/descriptor_chain.h"
#include "device/guest_memory.h"
#include "device/virtio_ring.h"

namespace kinsock {

// Where a ring lies and how it is used: what a front-end says before it starts one. Addresses are those of the
// front-end's process.
struct VringLayout {
  uint32_t size = 0;  // entries; power of two, at most kMaxVringSize
  uint64_t desc_user_address = 0;
  uint64_t avail_user_address = 0;
  uint64_t used_user_address = 0;
  uint16_t base = 0;  // next entry of the available ring to serve
  bool event_idx = false;
  bool indirect = false;
};

// The device side of one split virtqueue (virtio 1.3, 2.7). Reads each field of the guest once, into private
// memory. Not thread-safe; the caller gives the lock or the thread.
class Virtqueue {
 public:
  enum class PopResult : uint8_t {
    kChain,      // `chain` is filled
    kEmpty,      // the driver has nothing more
    kMalformed,  // `chain` cannot be used, but must be returned like any other
    kBroken,     // the ring itself makes no sense: stop serving it
  };

  // INVALID_ARGUMENT if the ring is not wholly in memory, misaligned (2.7), or of an illegal size.
  static absl::StatusOr<Virtqueue> Create(const VringLayout& layout, std::shared_ptr<const GuestMemory> memory);

  // Takes the next available chain. `chain` is not owed.
  PopResult Pop(DescriptorChain& chain);

  // Whether Pop() would find something. Does not tell a broken ring from a full one.
  bool HasAvailable();

  // How many chains Pop() would find, as far as the driver's index can be believed.
  uint16_t Available();

  // Puts `chain` into the used ring; `written` bytes of its writable part are valid. The driver sees it after
  // Publish().
  void Return(DescriptorChain& chain, uint32_t written);

  // Undoes the Pop() of the chains that were taken last, given in the order in which they were: the next
  // Pop() finds them again.
  void TakeBack(absl::Span<DescriptorChain> chains);

  // Shows the driver all that was returned, for the case that it is looking. Publish() is still owed.
  void Show();
  // Shows the driver all that was returned. True if it wants to be interrupted for what came since the last Publish().
  bool Publish();
  // Chains that were returned since the last Publish().
  uint16_t unpublished() const { return static_cast<uint16_t>(next_used_ - published_); }

  // Asks the driver to kick when it adds a chain. True if it has added one already: look again.
  bool EnableKicks();
  // Kicks are of no use for now.
  void DisableKicks();

  // The same ring in other memory: the front-end has moved its regions. On error nothing changes.
  absl::Status Relocate(std::shared_ptr<const GuestMemory> memory);

  // The entry to go on with after a stop (GET_VRING_BASE). Complete only if nothing is owed.
  uint16_t next_avail() const { return next_avail_; }
  uint32_t in_flight() const { return in_flight_; }
  uint32_t size() const { return layout_.size; }
  const GuestMemory& memory() const { return *memory_; }
  // For handing the last reference to a thread that may take its time to unmap.
  std::shared_ptr<const GuestMemory> shared_memory() const { return memory_; }

 private:
  Virtqueue(const VringLayout& layout, std::shared_ptr<const GuestMemory> memory);

  absl::Status Locate();
  bool Walk(uint16_t head, DescriptorChain& chain) const;
  uint16_t LoadAvailIndex() const;

  VringLayout layout_;
  std::shared_ptr<const GuestMemory> memory_;
  std::byte* desc_ = nullptr;
  std::byte* avail_ = nullptr;
  std::byte* used_ = nullptr;

  uint16_t next_avail_ = 0;  // next entry to take
  uint16_t seen_avail_ = 0;  // the driver's index when last looked at
  uint16_t next_used_ = 0;   // next entry to fill
  uint16_t shown_ = 0;       // the index that the driver sees
  uint16_t published_ = 0;   // the index for which it was asked whether it wants an interrupt
  uint32_t in_flight_ = 0;   // taken and not returned
  bool kicks_enabled_ = true;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VIRTQUEUE_H_
