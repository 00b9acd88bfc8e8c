// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VRING_DRIVER_H_
#define KINSOCK_TESTS_SUPPORT_VRING_DRIVER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/chain_builder.h"
#include "tests/support/shared_memory.h"
#include "tests/support/violations.h"

namespace kinsock::testing {

// The driver's side of one split virtqueue (virtio 1.3, 2.7) in a guest's memory, with its kick and call eventfds.
// Checks what the device does to the used ring. One thread; the device is another one, or another process.
class VringDriver {
 public:
  enum class KickRule : uint8_t { kAsSpecified, kAlways, kNever };

  struct Used {
    uint16_t head = 0;
    uint32_t written = 0;
  };

  // `entries`: a power of two, 2..32768. `violations` outlives the ring.
  VringDriver(SharedMemory& memory, uint16_t entries, std::string name, Violations& violations);

  // As after a device reset: empty rings, indexes 0. The negotiated features decide on notifications.
  void Reset(bool event_idx);

  // Eventfds for a new session: a new kick, as QEMU makes one at each start, and a new call.
  void RenewEventFds();
  int kick_fd() const { return kick_.get(); }
  int call_fd() const { return call_.get(); }
  // A call fd that replaces the old one while the device runs; what the old one still says is not lost.
  void SwapCallFd();

  uint16_t entries() const { return entries_; }
  uint64_t desc_gpa() const { return desc_; }
  uint64_t avail_gpa() const { return avail_; }
  uint64_t used_gpa() const { return used_; }

  // Puts a chain into the ring, not visible to the device before Publish(). Nothing if the descriptors do not
  // suffice. `indirect`: all links go into a table. Returns the head.
  std::optional<uint16_t> Add(const ChainBuilder& chain, bool indirect = false);

  // Makes the chains added so far visible, in order.
  void Publish();
  // Tells the device, if the rule says so. Returns whether it did.
  bool Kick();
  void set_kick_rule(KickRule rule) { kick_rule_ = rule; }

  // The next chain that the device has returned.
  std::optional<Used> Reap();
  bool HasUsed() const;

  // Interrupt suppression (2.7.7.1). Enabling returns false if the device has returned something meanwhile.
  bool EnableInterrupts();
  void DisableInterrupts();
  // Whether the device has called since the last time; clears it.
  bool TakeInterrupt();

  uint16_t free_descriptors() const { return static_cast<uint16_t>(free_.size()); }
  size_t outstanding() const { return outstanding_; }
  // Chains that the device has returned since Reset().
  uint64_t reaped() const { return reaped_; }

  // What the hostile do: any value into any place.
  void WriteDescriptor(uint16_t index, const vring_desc& descriptor);
  void PublishRaw(uint16_t head);  // one more entry of the available ring
  void SetAvailIdx(uint16_t idx);
  uint16_t avail_idx() const { return avail_idx_; }
  uint16_t used_idx() const;
  uint16_t last_used_idx() const { return last_used_; }

 private:
  struct Chain {
    bool live = false;
    std::vector<uint16_t> descriptors;  // of the ring itself
    uint64_t writable = 0;              // bytes that the device may write
    uint64_t table = 0;                 // the indirect table, if it is one of ours to reuse
  };

  // Tables of up to this many entries are kept for reuse: more than a 64 KiB packet in pages needs.
  static constexpr size_t kTableEntries = 64;

  uint16_t* AvailField(uint32_t offset) const;
  void StoreChain(const std::vector<ChainBuilder::Link>& links, const std::vector<uint16_t>& at);
  vring_desc Encode(const std::vector<ChainBuilder::Link>& links, size_t i, const std::vector<uint16_t>& at);
  uint64_t MakeTable(const std::vector<ChainBuilder::Link>& links);
  bool DeviceWantsKick() const;
  void Violated(const std::string& what) { violations_.Add(name_ + " ring: " + what); }

  SharedMemory& memory_;
  const uint16_t entries_;
  const std::string name_;
  Violations& violations_;
  uint64_t desc_;
  uint64_t avail_;
  uint64_t used_;
  UniqueFd kick_;
  UniqueFd call_;
  UniqueFd former_call_;
  bool called_ = false;  // by an eventfd of the session's earlier life
  bool event_idx_ = false;
  KickRule kick_rule_ = KickRule::kAsSpecified;

  std::vector<uint16_t> free_;  // the next to use is at the back
  std::vector<Chain> chains_;   // by head
  std::vector<uint64_t> spare_tables_;
  size_t outstanding_ = 0;
  uint64_t reaped_ = 0;
  uint16_t added_idx_ = 0;   // avail.idx once published
  uint16_t avail_idx_ = 0;   // as published
  uint16_t kicked_idx_ = 0;  // as of the last decision to kick
  uint16_t last_used_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VRING_DRIVER_H_
