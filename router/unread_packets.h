// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_UNREAD_PACKETS_H_
#define KINSOCK_ROUTER_UNREAD_PACKETS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kinsock {

// How many packets a guest holds for a program that has not read them, which is a second ceiling besides credit: Linux
// (from 6.12.92 on) charges 576 bytes for each and resets the stream when that exceeds its window. The guest says how
// many bytes were read, not how many packets, so the packets are counted in a few groups that are forgotten when all
// their bytes have been read: the count is never too low, and up to the
// limit too high by one group at most.
//
// Arithmetic only; guarded by the lock of the receiving end.
class UnreadPackets {
 public:
  // What a packet costs a guest at most, besides its payload (the kernel's sizeof(struct sk_buff), and some).
  static constexpr uint32_t kPacketCharge = 576;

  // How many packets a guest with this window is given unread: three quarters of what it can take, since it counts
  // some that are not ours to see (control packets, and those that were put while it read).
  static constexpr uint32_t Limit(uint32_t window) { return std::max(window / kPacketCharge * 3 / 4, uint32_t{4}); }

  // A packet was given to the guest, and ends `end` bytes behind the stream's beginning, of which `read` have been read
  // (both modulo 2^32).
  void Add(uint32_t end, uint32_t read, uint32_t limit) {
    Group& newest = groups_[kGroups - 1];
    if (newest.packets >= limit / kFullGroups) StartGroup(read);
    newest.end = end;
    ++newest.packets;
  }

  // Packets of which some bytes may be unread.
  uint32_t Count(uint32_t read) const {
    uint32_t count = 0;
    for (const Group& group : groups_) {
      if (group.IsUnread(read)) count += group.packets;
    }
    return count;
  }

 private:
  static constexpr size_t kFullGroups = 4;
  static constexpr size_t kGroups = kFullGroups + 1;  // one is partly read

  struct Group {
    uint32_t end = 0;
    uint32_t packets = 0;

    bool IsUnread(uint32_t read) const { return static_cast<int32_t>(end - read) > 0; }
  };

  // Makes the newest group empty. The oldest is forgotten, or is one with the next if it is not read yet.
  void StartGroup(uint32_t read) {
    if (groups_[0].IsUnread(read)) groups_[1].packets += groups_[0].packets;
    std::copy(groups_.begin() + 1, groups_.end(), groups_.begin());
    groups_[kGroups - 1] = {groups_[kGroups - 1].end, 0};
  }

  std::array<Group, kGroups> groups_;  // oldest first
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_UNREAD_PACKETS_H_
