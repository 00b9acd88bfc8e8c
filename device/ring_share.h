// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_RING_SHARE_H_
#define KINSOCK_DEVICE_RING_SHARE_H_

#include <algorithm>
#include <cstdint>

#include "router/credit.h"

namespace kinsock {

// How the receivers of one guest's packets share its transmit ring (docs/adr/0009-shares-by-window.md). A guest's flows
// take turns in the ring, so that a receiver with more flows than another gets more of it. The flows of such a receiver
// share its part: each sees as much of the receiver's window as its share can carry. Arithmetic only.

// What one receiver was sent in an epoch.
struct ReceiverTraffic {
  uint32_t flows = 0;    // that had payload delivered
  uint64_t bytes = 0;    // of payload
  uint64_t packets = 0;  // that it came in
};

// Those who were sent anything in an epoch.
struct RingUse {
  uint32_t receivers = 0;
  uint32_t fewest_flows = UINT32_MAX;  // of any of them

  void Add(const ReceiverTraffic& traffic) {
    if (traffic.flows == 0) return;
    ++receivers;
    fewest_flows = std::min(fewest_flows, traffic.flows);
  }
};

// What a flow sees of its receiver's window at least: less would cost more in credit packets than it is worth.
inline constexpr uint64_t kLeastShare = 4096;

// What each flow to this receiver may see of its window in the next epoch (bytes).
inline uint32_t RingShare(const ReceiverTraffic& traffic, const RingUse& use, uint32_t ring_entries) {
  if (traffic.flows == 0 || traffic.flows <= use.fewest_flows) return kMaxWindow;
  const uint64_t packet_bytes = traffic.bytes / std::max<uint64_t>(traffic.packets, 1);
  const uint64_t part = ring_entries / use.receivers * packet_bytes;
  return static_cast<uint32_t>(std::max(std::min<uint64_t>(part, kMaxWindow) / traffic.flows, kLeastShare));
}

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_RING_SHARE_H_
