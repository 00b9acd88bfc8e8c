// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_TX_PACKET_H_
#define KINSOCK_DEVICE_TX_PACKET_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "capture/copy_pool.h"
#include "device/descriptor_chain.h"
#include "router/packet.h"

namespace kinsock {

// A packet that a guest sends, with the chain it came in. While the chain is owed, the payload lies in the
// guest's memory; a packet that has to wait for long has a copy of its own instead (tx_backlog.h).
struct TxPacket : Packet {
  DescriptorChain chain;
  std::unique_ptr<char[]> copy;      // holds `payload` once the chain was returned
  std::shared_ptr<Flow> backlogged;  // the flow on whose account the copy is
  CopyPool::Copy captured;           // holds the beginning of `payload`, which a capture has seen
};

// Packets for reuse: after a while nothing is allocated any more. Keeps as many as were in use at once. Thread:
// the device's reactor.
class TxPacketPool {
 public:
  TxPacket& Take() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<TxPacket>());
      return *all_.back();
    }
    TxPacket& packet = *free_.back();
    free_.pop_back();
    return packet;
  }

  // Precondition: the chain is not owed, and nothing is on a backlog's account.
  void Put(TxPacket& packet) {
    packet.payload.Clear();
    packet.taken = 0;
    packet.accepted = false;
    packet.outcome = Packet::Outcome::kWaiting;
    packet.reason = CloseReason::kNone;
    packet.flow.reset();
    free_.push_back(&packet);
  }

 private:
  std::vector<std::unique_ptr<TxPacket>> all_;
  std::vector<TxPacket*> free_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_TX_PACKET_H_
