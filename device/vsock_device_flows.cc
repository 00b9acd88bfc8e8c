// SPDX-License-Identifier: Apache-2.0
//
// VsockDevice: its connections: which there are, and how they end when it is not their ends that end them.
#include "device/vsock_device.h"

namespace kinsock {

void VsockDevice::EndFlows() {
  for (auto& [key, flow] : rx_->TakeFlows()) {
    if (!flow->Close(CloseReason::kPeerGone)) continue;
    flow->other_end(flow->SideOf(*rx_)).port->ResetFlow(flow);
  }
}

// Of a connection between siblings, the initiator's does.
bool VsockDevice::AnswersFor(const Flow& flow) const {
  const Flow::Side side = flow.SideOf(*rx_);
  return side == Flow::Side::kInitiator || flow.other_end(side).port->cid() == kHostCid;
}

std::vector<std::shared_ptr<Flow>> VsockDevice::Flows() const {
  std::vector<std::shared_ptr<Flow>> flows = rx_->Flows();
  std::erase_if(flows, [this](const std::shared_ptr<Flow>& flow) { return !AnswersFor(*flow); });
  return flows;
}

FlowInfo VsockDevice::Describe(const Flow& flow) const {
  FlowInfo info = flow.Info();
  if (host_ != nullptr) host_->Describe(info);
  return info;
}

bool VsockDevice::ResetFlow(uint64_t id, CloseReason reason) {
  for (const std::shared_ptr<Flow>& flow : rx_->Flows()) {
    if (flow->id() != id || !AnswersFor(*flow) || flow->state() == Flow::State::kClosed) continue;
    tx_->ResetFlow(flow, reason);
    return true;
  }
  return false;
}

void VsockDevice::ArmStaleSearch() {
  const bool any = rx_->transient_flows() > 0 || (host_ != nullptr && host_->transient_flows() > 0);
  if (!any || stale_search_armed_) return;
  stale_search_armed_ = true;
  stale_search_ = env_.loop.RunAfter(kStaleSearch, [this] {
    stale_search_armed_ = false;
    SearchStaleFlows();
    ArmStaleSearch();
  });
}

void VsockDevice::SearchStaleFlows() {
  for (const std::shared_ptr<Flow>& flow : rx_->Flows()) {
    if (!AnswersFor(*flow)) continue;
    if (!flow->IsTransient()) {
      flow->ClearStale();
    } else if (flow->MarkStale()) {
      stats_->timed_out_flows.Add();
      tx_->ResetFlow(flow,
                     flow->state() == Flow::State::kConnecting ? CloseReason::kConnectTimeout : CloseReason::kFinished);
    }
  }
}

void VsockDevice::Drain() {
  if (!rx_->draining()) rx_->SetDrained(drained_);
  SetDrain(rx_->Flows().empty() ? DrainState::kDrained : DrainState::kDraining);
}

void VsockDevice::EndDrain() {
  rx_->SetDrained(nullptr);
  SetDrain(DrainState::kNone);
}

void VsockDevice::ResetFlows(CloseReason reason) {
  for (const std::shared_ptr<Flow>& flow : rx_->Flows()) tx_->ResetFlow(flow, reason);
}

// Each connection is looked at by one of its ends alone: the other may live on another reactor, where the policies may
// not have changed yet.
void VsockDevice::ResetRevoked(const PolicyChange& change) {
  for (const std::shared_ptr<Flow>& flow : rx_->Flows()) {
    const Flow::Side side = flow->SideOf(*rx_);
    const Flow::End& other = flow->other_end(side);
    if (side != Flow::Side::kInitiator && other.port->cid() != kHostCid) continue;
    const Flow::End& target = flow->end(Flow::Side::kTarget);
    const Cid initiator = flow->end(Flow::Side::kInitiator).port->cid();
    if (change.Revokes(initiator, target.port->cid(), target.vsock_port)) {
      tx_->ResetFlow(flow, CloseReason::kPolicyDenied);
    }
  }
}

}  // namespace kinsock
