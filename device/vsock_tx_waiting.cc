// SPDX-License-Identifier: Apache-2.0
//
// What becomes of packets that cannot be delivered now. They keep their place in the guest's ring for as long as it has
// room; then the guest rests for receivers that are busy, and packets for others are copied aside. Those of a flow
// whose receiver has left too much unread are copied aside at once.
#include <algorithm>
#include <utility>

#include "device/vsock_tx.h"
#include "router/reset.h"

namespace kinsock {
namespace {

// How often a receiver is asked what it has read while packets are held for it. Newer Linux says it unasked.
constexpr std::chrono::milliseconds kAskHeld{20};

}  // namespace

// Whether another chain may be taken: not while half of the ring's waits for receivers.
bool VsockTx::MayFetch() {
  const uint32_t enough = std::max(queue_->size() / 2, 1u);
  if (queue_->in_flight() < enough) {
    EndRest();
    return true;
  }
  if (!active_.empty()) return false;  // there is something to deliver first
  const auto rested = resting_ ? env_.loop.now() - rest_began_ : MonotonicTime::duration::zero();
  FreeRing(rested);
  if (queue_->in_flight() < enough) {
    EndRest();
    return true;
  }
  StartResting();
  return false;
}

// Comes back when a receiver has room, or when patience has run out.
void VsockTx::StartResting() {
  if (resting_) return;
  resting_ = true;
  env_.stats.from_guest_rests.Add();
  rest_began_ = env_.loop.now();
  rest_timer_ = env_.loop.RunAfter(kMaxPatience, [this] { Run(); });
}

void VsockTx::EndRest() {
  if (!std::exchange(resting_, false)) return;
  env_.loop.Cancel(rest_timer_);
  const auto rested = env_.loop.now() - rest_began_;
  env_.stats.from_guest_rested_nanoseconds.Add(static_cast<uint64_t>(std::chrono::nanoseconds(rested).count()));
  for (auto& [port, lane] : lanes_) {
    if (lane->blocked) lane->patience -= std::min<std::chrono::nanoseconds>(lane->patience, rested);
  }
}

// Copies aside what waits in the guest's ring for receivers that are not worth the rest that the guest has had.
void VsockTx::FreeRing(std::chrono::nanoseconds rested) {
  for (auto& [port, lane] : lanes_) {
    lane->patience = std::min<std::chrono::nanoseconds>(lane->patience, kMaxPatience);
    if (lane->patience > rested) continue;
    for (Packet* packet = lane->in_ring; packet != nullptr; packet = packet->next) {
      SetAside(static_cast<TxPacket&>(*packet), *lane);
    }
    lane->in_ring = nullptr;
  }
}

void VsockTx::SetAside(TxPacket& packet, TxLane& lane) {
  if (!packet.chain.owed()) return;
  const std::shared_ptr<Flow> flow =
      packet.flow != nullptr ? packet.flow : env_.rx->Find(FlowKey::OfSender(packet.header));
  CloseReason reason = CloseReason::kNone;
  auto result = TxBacklog::Result::kRefused;
  // A closed flow still has its RST to deliver, which carries it.
  if (flow != nullptr && (packet.flow != nullptr || flow->state() != Flow::State::kClosed)) {
    result = backlog_.Keep(packet, flow, *lane.port, reason);
  }
  if (result == TxBacklog::Result::kKept) env_.stats.from_guest_copied_bytes.Add(packet.payload.size());
  if (result == TxBacklog::Result::kRefused) {
    CountViolation(reason);
    if (flow != nullptr) {
      ResetFlow(flow, reason);
    } else if (packet.header.op != VIRTIO_VSOCK_OP_RST) {
      env_.rx->SendReply(ResetFor(packet.header));
    }
  }
  if (result != TxBacklog::Result::kKept) {
    packet.payload.Clear();
    packet.outcome = Packet::Outcome::kDropped;  // keeps its place in the lane, as a shell
  }
  queue_->Return(packet.chain, 0);
}

// The packet waits for what its receiver reads, without holding up any other flow.
void VsockTx::Hold(TxLane& lane, TxPacket& packet) {
  const std::shared_ptr<Flow> flow = std::move(packet.flow);
  packet.outcome = Packet::Outcome::kWaiting;
  SetAside(packet, lane);
  if (packet.outcome != Packet::Outcome::kWaiting) {  // its flow is over, or it says nothing new
    Recycle(packet);
    return;
  }
  const auto [it, is_new] = held_.try_emplace(flow.get());
  HeldFlow& held = it->second;
  if (is_new) {
    held.flow = flow;
    held.lane = &lane;
    ++lane.held_flows;
  }
  held.packets.PushBack(packet);
  if (std::exchange(ask_timer_armed_, true)) return;
  ask_timer_ = env_.loop.RunAfter(kAskHeld, [this] {
    ask_timer_armed_ = false;
    OfferHeld(Asking::kYes);
  });
}

// Offers what is held once more: what still has to wait is held again.
void VsockTx::OfferHeld(Asking asking) {
  for (auto& [key, held] : std::exchange(held_, {})) {
    const std::shared_ptr<Flow>& flow = held.flow;
    if (flow->state() == Flow::State::kClosed) {
      DropHeld(held);
      continue;
    }
    const Flow::Side me = flow->SideOf(*env_.rx);
    flow->Hold(me, false);
    --held.lane->held_flows;
    if (asking == Asking::kYes) held.lane->port->AskForCredit(flow);
    held.lane->waiting.PushFront(held.packets);
    if (!held.lane->blocked) Activate(*held.lane);
  }
  Run();
}

void VsockTx::DropHeld(HeldFlow& held) {
  --held.lane->held_flows;
  while (!held.packets.empty()) {
    auto& packet = static_cast<TxPacket&>(held.packets.PopFront());
    backlog_.Release(packet, *held.lane->port);
    Recycle(packet);
  }
}

}  // namespace kinsock
