// SPDX-License-Identifier: Apache-2.0
#include "router/switch.h"

namespace kinsock {
namespace {

Decision Drop(DropReason reason) { return {.action = Decision::Action::kDrop, .drop = reason}; }

// An RST that goes nowhere is not answered.
Decision Refuse(const VsockHeader& header, CloseReason reason, Refusal refusal) {
  if (header.op == VIRTIO_VSOCK_OP_RST) return Drop(DropReason::kResetOfReset);
  return {.action = Decision::Action::kReset, .reason = reason, .refusal = refusal};
}

bool IsKnownOp(uint16_t op) { return op >= VIRTIO_VSOCK_OP_REQUEST && op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST; }

bool IsKnownType(uint16_t type) { return type == VIRTIO_VSOCK_TYPE_STREAM || type == VIRTIO_VSOCK_TYPE_SEQPACKET; }

bool IsWellFormed(const VsockHeader& header, uint64_t payload_bytes) {
  if (!IsKnownType(header.type) || !IsKnownOp(header.op)) return false;
  if (header.len > payload_bytes || header.len > kMaxPayloadBytes) return false;
  return header.len == 0 || header.op == VIRTIO_VSOCK_OP_RW;
}

// Precondition: it is not well formed.
Refusal WhatIsWrong(const VsockHeader& header) {
  if (!IsKnownType(header.type)) return Refusal::kBadType;
  return IsKnownOp(header.op) ? Refusal::kBadLength : Refusal::kBadOp;
}

}  // namespace

Decision DecideRoute(const VsockHeader& header, uint64_t payload_bytes, const Port& sender, Port* host,
                     const RouteTable& routes) {
  if ((header.src_cid >> 32) != 0 || (header.dst_cid >> 32) != 0) return Drop(DropReason::kReservedBits);
  if (header.src_cid != sender.cid()) return Drop(DropReason::kSpoofedSource);
  if (!IsWellFormed(header, payload_bytes)) return Refuse(header, CloseReason::kMalformed, WhatIsWrong(header));
  if (header.type == VIRTIO_VSOCK_TYPE_SEQPACKET && !sender.takes_seqpacket()) {
    return Refuse(header, CloseReason::kTypeUnsupported, Refusal::kBadType);
  }

  const bool begins = header.op == VIRTIO_VSOCK_OP_REQUEST;
  if (begins && sender.draining()) return Refuse(header, CloseReason::kDrain, Refusal::kRequest);
  if (header.dst_cid == kHostCid) {
    if (host == nullptr) return Refuse(header, CloseReason::kNoListener, Refusal::kNoRoute);
    if (begins && !routes.MayConnect(sender.cid(), kHostCid, header.dst_port)) {
      return Refuse(header, CloseReason::kPolicyDenied, Refusal::kRequest);
    }
    return {.action = Decision::Action::kDeliver, .port = host};
  }
  Port* port = routes.Find(header.dst_cid);
  if (port == nullptr || port == &sender) return Refuse(header, CloseReason::kPeerGone, Refusal::kNoRoute);
  if (begins && port->draining()) return Refuse(header, CloseReason::kDrain, Refusal::kRequest);
  if (begins && !routes.MayConnect(sender.cid(), port->cid(), header.dst_port)) {
    return Refuse(header, CloseReason::kPolicyDenied, Refusal::kRequest);
  }
  return {.action = Decision::Action::kDeliver, .port = port};
}

}  // namespace kinsock
