// SPDX-License-Identifier: Apache-2.0
//
// VsockDevice: the guest's address, and how its driver learns of another one (docs/adr/0017-a-new-cid.md).
#include <utility>

#include "device/vsock_device.h"

namespace kinsock {

std::shared_ptr<VsockRx> VsockDevice::MakeRx() {
  auto rx = std::make_shared<VsockRx>(spec_.id, spec_.cid, spec_.limits, stats_, env_.loop, broken_, over_rate_);
  rx->set_limited(limit_watch_.hit());
  return rx;
}

std::shared_ptr<Port> VsockDevice::ChangeCid(Cid cid) {
  spec_.cid = cid;
  driver_cid_.OnChange(cid);
  // A driver that gets the event forgets its connections by that; by then it may have another address than a reset of
  // its own for each would be for.
  const bool has_events = events_.has_driver();
  const std::shared_ptr<VsockRx> former = std::exchange(rx_, MakeRx());
  const FlowTable::Map flows = former->HandOver(*rx_, has_events ? VsockRx::Replies::kDrop : VsockRx::Replies::kKeep);
  tx_->SetRx(*rx_);
  if (session_ != nullptr && session_->ChangeCid(cid)) {
    if (!std::exchange(awaiting_cid_told_, true)) {
      cid_told_timer_ = env_.loop.RunAfter(kCidAnswerTimeout, [this] {
        stats_->unanswered_config_changes.Add();
        OnCidTold();
      });
    }
  } else {
    TellDriver();
  }
  for (const auto& [key, flow] : flows) {
    if (!flow->Close(CloseReason::kTransportReset)) continue;
    const Flow::Side me = flow->SideOf(*former);
    flow->other_end(me).port->ResetFlow(flow);
    if (!has_events) rx_->SendReply(flow->ResetTo(me));
  }
  if (host_ != nullptr) host_->SetRx(*rx_);
  readiness_.SetCid(cid);
  ReportStatus();
  return rx_;
}

void VsockDevice::ResetTransport() {
  // The event first: what the driver then does anew comes after it.
  TellDriver();
  ResetFlows(CloseReason::kTransportReset);
}

void VsockDevice::TellDriver() {
  if (events_.SendTransportReset()) stats_->transport_resets.Add();
  NoteIfTold();
  if (events_.broken()) broken_->Notify();
}

// The driver may have got the event just now.
void VsockDevice::NoteIfTold() {
  if (!events_.has_driver() || events_.reset_waits() || awaiting_cid_told_) return;
  driver_cid_.OnTold();
  ReportDriverCid();
}

void VsockDevice::OnCidRead() {
  driver_cid_.OnRead();
  ReportDriverCid();
}

void VsockDevice::OnCidTold() {
  if (!std::exchange(awaiting_cid_told_, false)) return;
  env_.loop.Cancel(cid_told_timer_);
  TellDriver();
}

void VsockDevice::ReportDriverCid() {
  if (status_.driver_cid != driver_cid_.driver()) ReportStatus();
}

}  // namespace kinsock
