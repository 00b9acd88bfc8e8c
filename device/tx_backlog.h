// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_TX_BACKLOG_H_
#define KINSOCK_DEVICE_TX_BACKLOG_H_

#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "device/tx_packet.h"
#include "router/close_reason.h"
#include "router/flow.h"
#include "router/port.h"

namespace kinsock {

// Packets whose receivers have no room for long, moved out of the sender's ring so that its other traffic goes
// on. What they take is on two accounts: the flow's, which is bounded by the window that its receiver granted,
// and the receiver's total (DeviceLimits::max_buffered_bytes). Thread: the sender's reactor.
class TxBacklog {
 public:
  // Packets of a flow, other than payload and credit, that may wait: REQUEST or RESPONSE, two half-closes, RST.
  // A driver that sends more of them has lost count, and the flow is reset (MALFORMED).
  static constexpr uint32_t kMaxControlPackets = 4;

  // Empty messages of a flow that may wait: no credit pays for them. A Linux guest drops a connection when some 450
  // packets wait in it. Beyond it the flow is reset (QUOTA).
  static constexpr uint32_t kMaxEmptyMessages = 256;

  enum class Result : uint8_t {
    kKept,    // copied; the chain can be returned
    kMerged,  // of no further use: an earlier packet says it now
    kRefused  // must not be kept: reset the flow with `reason`
  };

  // Copies what is left of `packet`, which waits for `receiver` and belongs to `flow`.
  Result Keep(TxPacket& packet, const std::shared_ptr<Flow>& flow, Port& receiver, CloseReason& reason);

  // `packet` is done with, or dropped: takes it off the accounts. No effect on one that was not kept.
  void Release(TxPacket& packet, Port& receiver);

 private:
  struct Account {
    uint32_t payload_bytes = 0;
    uint32_t control_packets = 0;
    uint32_t empty_messages = 0;
    uint32_t packets = 0;
    TxPacket* credit_update = nullptr;   // waiting, newest word on credit
    TxPacket* credit_request = nullptr;  // waiting
  };

  static uint64_t Cost(const TxPacket& packet);

  absl::flat_hash_map<const Flow*, Account> accounts_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_TX_BACKLOG_H_
