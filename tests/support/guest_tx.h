// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_GUEST_TX_H_
#define KINSOCK_TESTS_SUPPORT_GUEST_TX_H_

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "tests/support/guest_options.h"
#include "tests/support/shared_memory.h"
#include "tests/support/violations.h"
#include "tests/support/vring_driver.h"
#include "tests/support/vsock_packet.h"

namespace kinsock::testing {

// A guest driver's transmit queue: packets wait for room in the ring, in order, as in Linux's send_pkt_queue. One
// thread.
class GuestTx {
 public:
  GuestTx(SharedMemory& memory, const GuestOptions& options, Violations& violations);

  // After a device reset: what was queued is lost.
  void Reset(bool event_idx);

  void Queue(VsockPacket packet) { queue_.push_back(std::move(packet)); }

  // Hands queued packets to the device while there is room. Returns whether any went out.
  bool Flush();

  // Takes back what the device has used. Returns whether there was anything.
  bool Reclaim();

  // Whether a stream should make more packets now: a few may wait, not a whole window of each stream.
  bool HasRoom() const { return queue_.size() < kQueued; }
  size_t queued() const { return queue_.size(); }

  VringDriver& ring() { return ring_; }
  const VringDriver& ring() const { return ring_; }

 private:
  static constexpr size_t kQueued = 4;
  // Memory for packets under way: so many of each size.
  static constexpr size_t kBigSlots = 128;
  static constexpr size_t kSmallSlots = 256;
  static constexpr uint32_t kSmallBytes = 4096;

  struct Slot {
    uint64_t gpa = 0;
    bool big = false;
  };

  bool TakeSlot(const VsockPacket& packet, Slot* slot);
  void ReturnSlot(const Slot& slot) { (slot.big ? big_ : small_).push_back(slot.gpa); }
  ChainBuilder Layout(uint64_t gpa, uint32_t payload) const;

  SharedMemory& memory_;
  const GuestOptions& options_;
  VringDriver ring_;
  std::deque<VsockPacket> queue_;
  std::vector<uint64_t> big_;
  std::vector<uint64_t> small_;
  size_t big_made_ = 0;
  size_t small_made_ = 0;
  std::unordered_map<uint16_t, Slot> under_way_;  // by head
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_GUEST_TX_H_
