// SPDX-License-Identifier: Apache-2.0
//
// VsockTx: what the guest may not send, or not now, and what it is told.
#include <memory>
#include <utility>

#include "device/vsock_tx.h"
#include "router/logged_flow.h"
#include "router/reset.h"

namespace kinsock {

// Gives a REQUEST its flow. False, with the reason, if the guest may not have one more.
bool VsockTx::Admit(TxPacket& packet, Port& port) {
  if (env_.rx->transient_flows() >= static_cast<int>(env_.limits.max_pending_connections)) {
    env_.stats.from_guest_limited_pending_connections.Add();
    env_.rx->NoteLimited();
    packet.reason = CloseReason::kQuota;
    return false;
  }
  const VsockHeader& header = packet.header;
  auto flow =
      std::make_shared<Flow>(env_.journal.NextId(), header, Flow::End{env_.rx->shared_from_this(), header.src_port},
                             Flow::End{port.shared_from_this(), header.dst_port}, &env_.journal);
  switch (env_.rx->Admit(flow)) {
    case VsockRx::AdmitResult::kAdmitted:
      TellIfLogged(*flow, env_.routes, env_.journal);
      packet.flow = std::move(flow);
      return true;
    case VsockRx::AdmitResult::kFull:
      env_.stats.from_guest_limited_connections.Add();
      env_.rx->NoteLimited();
      flow->Close(CloseReason::kQuota);
      packet.reason = CloseReason::kQuota;
      return false;
    case VsockRx::AdmitResult::kTooOften:
      env_.stats.from_guest_limited_connects.Add();
      env_.rx->NoteLimited();
      flow->Close(CloseReason::kQuota);
      packet.reason = CloseReason::kQuota;
      return false;
    case VsockRx::AdmitResult::kTaken:
      // A second REQUEST on a connection: the guest has lost track of it, so it goes.
      flow->Close(CloseReason::kMalformed);
      packet.flow = env_.rx->Find(FlowKey::OfSender(header));
      packet.reason = CloseReason::kMalformed;
      return false;
  }
  return false;
}

// The guest has not read its CID anew: what it sends says so at once to its own program, and to a sibling that has
// connected to it meanwhile. An RST is answered by none, but ends what it names.
void VsockTx::RefuseFormer(TxPacket& packet) {
  if (env_.driver_cid.OnFormer()) env_.driver_cid_changed->Notify();
  packet.reason = CloseReason::kTransportReset;
  packet.flow = env_.rx->Find(FlowKey::OfSender(packet.header));
  if (packet.header.op == VIRTIO_VSOCK_OP_REQUEST) CountRefused(packet);
  SettleRefused(packet, Refusal::kFormerCid);
  Recycle(packet);
}

// The packet is answered with an RST, and its flow, if it has one, ends for both sides.
void VsockTx::SettleRefused(const TxPacket& packet, Refusal refusal) {
  CountRefusal(refusal);
  env_.allowance.Charge(ControlAllowance::kPacket);
  CountViolation(packet.reason);
  if (packet.flow != nullptr) {
    const bool ours_to_end = packet.flow->Close(packet.reason);
    env_.rx->Forget(*packet.flow);
    if (ours_to_end) packet.flow->other_end(packet.flow->SideOf(*env_.rx)).port->ResetFlow(packet.flow);
  }
  if (packet.header.op != VIRTIO_VSOCK_OP_RST) env_.rx->SendReply(ResetFor(packet.header));
}

void VsockTx::ResetFlow(const std::shared_ptr<Flow>& flow, CloseReason reason) {
  if (!flow->Close(reason)) return;
  flow->other_end(flow->SideOf(*env_.rx)).port->ResetFlow(flow);
  env_.rx->ResetFlow(flow);
}

// A REQUEST that got no flow, which would count its own end, and tell the journal.
void VsockTx::CountRefused(const TxPacket& packet) {
  env_.rx->port_stats().CountConnect(Direction::kOut, packet.reason);
  const VsockHeader& header = packet.header;
  const auto cid = static_cast<Cid>(header.dst_cid);
  // It is the attempt that counts.
  if (header.dst_cid == kHostCid) env_.readiness.OnRequest(header.dst_port);
  const Port* target = header.dst_cid == kHostCid ? env_.host.get() : env_.routes.Find(header.dst_cid);
  env_.journal.Refused({.device = env_.rx->device(), .cid = env_.rx->cid(), .port = header.src_port},
                       {.device = target != nullptr ? target->device() : 0, .cid = cid, .port = header.dst_port},
                       header.type, packet.reason,
                       packet.reason == CloseReason::kPolicyDenied
                           ? env_.routes.DeniedBy(env_.rx->cid(), cid, header.dst_port)
                           : nullptr);
}

void VsockTx::CountViolation(CloseReason reason) {
  if (reason == CloseReason::kCreditViolation) env_.stats.from_guest_credit_violations.Add();
}

// What a packet is refused for that the switch let pass.
Refusal VsockTx::RefusalOf(const TxPacket& packet) {
  switch (packet.reason) {
    case CloseReason::kNone:
      return Refusal::kNoConnection;
    case CloseReason::kPeerGone:
      return Refusal::kNoRoute;
    case CloseReason::kTypeUnsupported:
      return Refusal::kBadType;
    case CloseReason::kMalformed:
    case CloseReason::kCreditViolation:
      return Refusal::kViolation;
    default:
      return Refusal::kRequest;
  }
}

void VsockTx::CountRefusal(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return;
    case Refusal::kBadLength:
      return env_.stats.from_guest_refused_bad_length.Add();
    case Refusal::kBadOp:
      return env_.stats.from_guest_refused_bad_op.Add();
    case Refusal::kBadType:
      return env_.stats.from_guest_refused_bad_type.Add();
    case Refusal::kNoRoute:
      return env_.stats.from_guest_refused_no_route.Add();
    case Refusal::kNoConnection:
      return env_.stats.from_guest_refused_no_connection.Add();
    case Refusal::kRequest:
      return env_.stats.from_guest_refused_request.Add();
    case Refusal::kViolation:
      return env_.stats.from_guest_refused_violation.Add();
    case Refusal::kFormerCid:
      return env_.stats.from_guest_former_cid.Add();
  }
}

void VsockTx::CountDrop(const Decision& decision) {
  switch (decision.drop) {
    case DropReason::kSpoofedSource:
      return env_.stats.from_guest_dropped_spoofed_source.Add();
    case DropReason::kReservedBits:
      return env_.stats.from_guest_dropped_reserved_bits.Add();
    case DropReason::kResetOfReset:
      return env_.stats.from_guest_dropped_reset_of_reset.Add();
    case DropReason::kNone:
      return;
  }
}

}  // namespace kinsock
