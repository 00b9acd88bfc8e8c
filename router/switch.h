// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_SWITCH_H_
#define KINSOCK_ROUTER_SWITCH_H_

#include <cstdint>

#include "router/close_reason.h"
#include "router/port.h"
#include "router/route_table.h"
#include "router/vsock_header.h"

namespace kinsock {

// Why a packet was dropped without an answer: there is nobody to answer to.
enum class DropReason : uint8_t {
  kNone,
  kSpoofedSource,  // src_cid is not the sender's own
  kReservedBits,   // the upper half of a CID is not zero
  kResetOfReset,   // an RST that would be answered with an RST
};

// Why a packet was answered with an RST. That concerns the packet; what becomes of a connection is its CloseReason.
enum class Refusal : uint8_t {
  kNone,
  kBadLength,     // more payload than is there, or than a packet may have, or on one that has none
  kBadOp,         // no operation that there is
  kBadType,       // neither STREAM nor SEQPACKET, or SEQPACKET that was not agreed on
  kNoRoute,       // nobody is at dst_cid: no such VM, none with a driver, or no host side
  kNoConnection,  // it belongs to none
  kRequest,       // a REQUEST that nobody takes, or that a policy, a limit or a drain is against
  kViolation,     // the connection does not allow it at this point, or has no credit for it
  kFormerCid,     // src_cid is what the guest had before a change
};

// Where a packet goes.
struct Decision {
  enum class Action : uint8_t { kDeliver, kReset, kDrop };
  Action action;
  Port* port = nullptr;                     // kDeliver: as long as the route table is unchanged
  CloseReason reason = CloseReason::kNone;  // kReset
  Refusal refusal = Refusal::kNone;         // kReset
  DropReason drop = DropReason::kNone;      // kDrop
};

// Decides about one packet of a guest by its header alone: is it the guest's to send, is it well formed, who
// is it for, and, if it asks for a connection, do the network's policies allow that. Connections are the receiving
// port's business. Changes nothing but counters; runs on the reactor of the sender.
//
// `payload_bytes`: what the sender's buffer holds behind the header. `host`: the sender's host side, null if
// it has none. `routes`: of the sender's network.
Decision DecideRoute(const VsockHeader& header, uint64_t payload_bytes, const Port& sender, Port* host,
                     const RouteTable& routes);

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_SWITCH_H_
