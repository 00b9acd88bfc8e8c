// SPDX-License-Identifier: Apache-2.0
#include "device/vsock_rx.h"

#include <algorithm>
#include <utility>

#include "base/probes.h"
#include "device/control_allowance.h"
#include "router/credit.h"

namespace kinsock {
namespace {

// What a packet costs of a batch's budget besides its payload: a run of empty packets ends the batch too.
constexpr uint32_t kPacketCost = 256;

// A guest that is awake consumes the beginning of a batch while the rest is being copied.
constexpr uint32_t kShowBytes = 16 * 1024;

// What goes beyond the budget is owed.
void Spend(uint32_t& budget, uint32_t& overdraft, uint32_t bytes) {
  const uint32_t cost = bytes + kPacketCost;
  overdraft = cost > budget ? cost - budget : 0;
  budget -= std::min(budget, cost);
}

// Buffers that make a turn worth its lock, however many wait.
constexpr uint32_t kLeastBuffersInTurn = 8;

void Settle(Packet& packet, Packet::Outcome outcome, CloseReason reason = CloseReason::kNone) {
  packet.outcome = outcome;
  packet.reason = reason;
}

}  // namespace

VsockRx::VsockRx(DeviceId device, Cid cid, const DeviceLimits& limits, std::shared_ptr<DeviceStats> stats,
                 EventLoop& loop, std::shared_ptr<Wakeup> broken, std::shared_ptr<Wakeup> over_rate)
    : Port(device, cid, limits.max_buffered_bytes, std::shared_ptr<PortStats>(stats, &stats->guest_port)),
      stats_(std::move(stats)),
      loop_(loop),
      broken_(std::move(broken)),
      over_rate_(std::move(over_rate)) {
  SetLimits(limits);
}

Port::Progress VsockRx::Deliver(Lane& lane, uint32_t budget) {
  MutexLock lock(mutex_);
  Progress progress = Progress::kDrained;
  uint32_t unseen = 0;
  bool woken = false;
  const uint32_t taken_before = ring_.has_value() ? ring_->taken() : 0;
  while (Packet* packet = lane.waiting.front()) {
    if (budget == 0) {
      progress = Progress::kBudget;
      break;
    }
    if (ring_.has_value() && ring_->taken() - taken_before >= BuffersInTurn()) {
      lane.resume->Notify();  // after the others that wait for this guest's buffers
      progress = Progress::kBlocked;
      break;
    }
    const uint32_t before = packet->taken;
    if (packet->outcome == Packet::Outcome::kWaiting) {
      const Step step = Offer(lane, *packet);
      if (step == Step::kNoBuffer && !WaitForBuffers(lane.resume)) continue;  // some came in this moment
      if (step != Step::kDone) {
        progress = Progress::kBlocked;
        break;
      }
    }
    Spend(budget, lane.overdraft, packet->taken - before);
    unseen += packet->taken - before;
    if (unseen >= kShowBytes) {
      std::exchange(woken, true) ? ring_->Show() : ring_->Flush();
      unseen = 0;
    }
    lane.done.PushBack(lane.waiting.PopFront());
  }
  Finish();
  return progress;
}

// How many buffers one lane may take before the others get their turn: all, unless several wait for buffers.
uint32_t VsockRx::BuffersInTurn() const {
  if (contenders_ < 2) return UINT32_MAX;
  return std::max<uint32_t>(ring_->size() / static_cast<uint32_t>(contenders_), kLeastBuffersInTurn);
}

// Gives the packet to the guest, whole or as far as buffers go.
VsockRx::Step VsockRx::Offer(Lane& lane, Packet& packet) {
  if (mode_ == Mode::kClosed) {
    if (packet.header.op == VIRTIO_VSOCK_OP_REQUEST) port_stats().CountConnect(Direction::kIn, CloseReason::kPeerGone);
    Settle(packet, Packet::Outcome::kRefused, CloseReason::kPeerGone);
    return Step::kDone;
  }
  if (packet.header.len > 0 && OverRate(lane.resume)) return Step::kOverRate;
  Flow* flow = packet.accepted ? FindAgain(packet) : Accept(packet);
  if (flow == nullptr) return Step::kDone;
  packet.accepted = true;
  const uint32_t taken_before = packet.taken;
  const bool put = FlushReplies() && Put(packet, *flow);
  bytes_.Spend(packet.taken - taken_before);
  if (!put) return Step::kNoBuffer;
  const bool closed = packet.header.op == VIRTIO_VSOCK_OP_RST;
  Settle(packet, closed ? Packet::Outcome::kClosed : Packet::Outcome::kDelivered);
  CountEarned(packet.header, 1);
  if (packet.header.op == VIRTIO_VSOCK_OP_RW) AfterPayload(lane, packet.header, *flow);
  ReleaseHeld(*flow);
  return Step::kDone;
}

// Whether the packet has to wait at the sender's: behind others of its flow that do, or because the receiver cannot
// keep more packets. Credit is not held: it is about the other direction.
bool VsockRx::HoldBack(Packet& packet, const std::shared_ptr<Flow>& flow) {
  const uint16_t op = packet.header.op;
  if (op == VIRTIO_VSOCK_OP_CREDIT_UPDATE || op == VIRTIO_VSOCK_OP_CREDIT_REQUEST) return false;
  const Flow::Side from = Opposite(flow->SideOf(*this));
  if (!flow->IsHeld(from)) {
    if (op != VIRTIO_VSOCK_OP_RW || !flow->IsFull(from)) return false;
    flow->Hold(from, true);
    if (!flow->IsFull(from)) {  // it has read some in this moment
      flow->Hold(from, false);
      return false;
    }
    stats_->to_guest_full_flows.Add();
  }
  packet.flow = flow;
  Settle(packet, Packet::Outcome::kHeld);
  return true;
}

// The sender's share is counted, and the receiver is asked for credit where it would be late to say so.
void VsockRx::AfterPayload(Lane& lane, const VsockHeader& header, Flow& flow) {
  const Flow::Side from = Opposite(flow.SideOf(*this));
  flow.EndPayload(from, header.flags);
  if (flow.JoinEpoch(from, lane.epoch)) ++lane.flows;
  flow.ShareWindow(from, lane.share);
  if (flow.ShouldAskForCredit(from)) Ask(flow);
}

// The guest was given `packets` like this one.
void VsockRx::CountEarned(const VsockHeader& header, uint32_t packets) {
  if (header.len > 0) earned_.Add(packets * ControlAllowance::kPayload);
  if (header.op == VIRTIO_VSOCK_OP_RESPONSE) earned_.Add(ControlAllowance::kConnection);
  if (header.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST) earned_.Add(ControlAllowance::kAnswer);
}

// A CREDIT_REQUEST in the name of the other end. It may wait with the replies: there is one for each flow at most.
void VsockRx::Ask(Flow& flow) {
  const Flow::Side me = flow.SideOf(*this);
  VsockHeader request = flow.ResetTo(me);
  request.op = VIRTIO_VSOCK_OP_CREDIT_REQUEST;
  flow.StampGrant(Opposite(me), request);
  stats_->to_guest_credit_requests.Add();
  CountEarned(request, 1);
  replies_.push_back(request);
}

void VsockRx::AskForCredit(const std::shared_ptr<Flow>& flow) {
  MutexLock lock(mutex_);
  if (mode_ == Mode::kClosed || flow->state() == Flow::State::kClosed || replies_.size() >= kMaxQueuedReplies) return;
  Ask(*flow);
  Finish();
}

void VsockRx::SetReleased(std::shared_ptr<Wakeup> released) {
  MutexLock lock(mutex_);
  released_ = std::move(released);
}

// This guest has packets that wait for a grant, and one may just have come.
void VsockRx::ReleaseHeld(const Flow& flow) {
  if (flow.IsHeld(flow.SideOf(*this)) && released_ != nullptr) released_->Notify();
}

// Which flow the packet belongs to, if the flow lets it pass. Null: the packet is settled.
Flow* VsockRx::Accept(Packet& packet) {
  if (packet.header.op == VIRTIO_VSOCK_OP_REQUEST) return AcceptRequest(packet);
  const FlowKey key = FlowKey::OfReceiver(packet.header);
  const std::shared_ptr<Flow>* found = flows_.Find(key);
  if (found == nullptr) {
    const bool is_reset = packet.header.op == VIRTIO_VSOCK_OP_RST;
    Settle(packet, is_reset ? Packet::Outcome::kDropped : Packet::Outcome::kRefused);
    return nullptr;
  }
  if (HoldBack(packet, *found)) return nullptr;
  Flow& flow = **found;
  const Flow::Side me = flow.SideOf(*this);
  switch (flow.Accept(packet.header, Opposite(me))) {
    case Flow::Verdict::kForward:
      return &flow;
    case Flow::Verdict::kForwardAndClose:
      packet.flow = *found;
      Erase(key, flow);
      return packet.flow.get();
    case Flow::Verdict::kViolation:
      EndFor(packet, *found, CloseReason::kMalformed);
      return nullptr;
    case Flow::Verdict::kOverCredit:
      EndFor(packet, *found, CloseReason::kCreditViolation);
      return nullptr;
    case Flow::Verdict::kIgnore:
    case Flow::Verdict::kOver:
      break;
  }
  Settle(packet, Packet::Outcome::kDropped);
  return nullptr;
}

// Ends the flow because of what its other end sent, and tells this end; the sender is told when it settles.
void VsockRx::EndFor(Packet& packet, std::shared_ptr<Flow> flow, CloseReason reason) {
  if (!flow->Close(reason)) return Settle(packet, Packet::Outcome::kDropped);
  const Flow::Side me = flow->SideOf(*this);
  replies_.push_back(flow->ResetTo(me));
  Erase(FlowKey::Of(*flow, me), *flow);
  packet.flow = std::move(flow);
  Settle(packet, Packet::Outcome::kRefused, reason);
}

bool VsockRx::Erase(const FlowKey& key, const Flow& flow) {
  const bool was_there = flows_.Erase(key, flow);
  if (was_there) NoteIfDrained();
  return was_there;
}

void VsockRx::NoteIfDrained() {
  if (drained_ != nullptr && flows_.size() == 0) drained_->Notify();
}

void VsockRx::SetDrained(std::shared_ptr<Wakeup> drained) {
  MutexLock lock(mutex_);
  drained_ = std::move(drained);
  set_draining(drained_ != nullptr);
  NoteIfDrained();
}

Flow* VsockRx::AcceptRequest(Packet& packet) {
  if (draining()) {  // since the sender looked
    port_stats().CountConnect(Direction::kIn, CloseReason::kDrain);
    Settle(packet, Packet::Outcome::kRefused, CloseReason::kDrain);
    return nullptr;
  }
  if (packet.header.type == VIRTIO_VSOCK_TYPE_SEQPACKET && !takes_seqpacket()) {
    Settle(packet, Packet::Outcome::kRefused, CloseReason::kTypeUnsupported);
    return nullptr;
  }
  const FlowKey key = FlowKey::OfReceiver(packet.header);
  // A closed flow of the same name is one whose other end was told first and has begun anew.
  const std::shared_ptr<Flow>* old = flows_.Find(key);
  if (old != nullptr && (*old)->state() == Flow::State::kClosed) Erase(key, **old);
  const bool full = flows_.size() + replies_.size() >= max_connections_;
  if (full || !MayConnect()) {
    (full ? stats_->to_guest_limited_connections : stats_->to_guest_limited_connects).Add();
    NoteLimited();
    port_stats().CountConnect(Direction::kIn, CloseReason::kQuota);
    Settle(packet, Packet::Outcome::kRefused, CloseReason::kQuota);
    return nullptr;
  }
  if (!flows_.Insert(key, packet.flow)) {
    port_stats().CountConnect(Direction::kIn, CloseReason::kMalformed);
    Settle(packet, Packet::Outcome::kRefused, CloseReason::kMalformed);
    return nullptr;
  }
  packet.flow->CountFor(Flow::Side::kTarget);
  return packet.flow.get();
}

// The flow of a packet that has waited. It may have been closed meanwhile; then its sender has been told.
Flow* VsockRx::FindAgain(Packet& packet) {
  if (packet.header.op == VIRTIO_VSOCK_OP_RST) return packet.flow.get();
  const std::shared_ptr<Flow>* found = flows_.Find(FlowKey::OfReceiver(packet.header));
  if (found != nullptr && (*found)->state() != Flow::State::kClosed) return found->get();
  Settle(packet, Packet::Outcome::kDropped);
  return nullptr;
}

// False if buffers ran out before the end of the packet.
bool VsockRx::Put(Packet& packet, Flow& flow) {
  if (mode_ != Mode::kRunning) return false;
  const Flow::Side from = Opposite(flow.SideOf(*this));
  if (packet.header.buf_alloc > kMaxWindow) stats_->to_guest_credit_clamped.Add();
  VsockHeader header = packet.header;
  header.flags = MeaningfulFlags(header);
  if (header.op != VIRTIO_VSOCK_OP_RST) flow.StampGrant(from, header);
  do {
    const uint32_t taken_before = ring_->taken();
    const std::optional<uint32_t> put = ring_->Put(header, packet.payload, packet.taken);
    if (!put.has_value()) {
      stats_->to_guest_starved.Add();
      return false;
    }
    packet.taken += *put;
    flow.CountDelivered(from, *put);
    if (ring_->taken() != taken_before && header.op == VIRTIO_VSOCK_OP_RW) flow.CountPacket(from);
  } while (packet.taken < packet.header.len);
  return true;
}

// Of a packet that no guest has sent.
void VsockRx::TellProbe(const VsockHeader& header, uint32_t bytes) const {
  ProbePacket(header.src_cid, header.src_port, header.dst_cid, header.dst_port, header.op, bytes);
}

// True if no reply waits any more.
bool VsockRx::FlushReplies() {
  static const ScatterList kNoPayload;
  while (mode_ == Mode::kRunning && !replies_.empty()) {
    if (!ring_->Put(replies_.front(), kNoPayload, 0).has_value()) return false;
    TellProbe(replies_.front(), 0);
    replies_.pop_front();
  }
  return replies_.empty();
}

// The same, with a kick to follow if some have to wait.
bool VsockRx::DrainReplies() {
  while (!FlushReplies()) {
    if (mode_ != Mode::kRunning || !HasOrAwaitsBuffers()) return false;
  }
  return true;
}

// The end of every batch: replies follow what was put, and all of it becomes visible. True if no reply is left.
bool VsockRx::Finish() {
  const bool drained = DrainReplies();
  if (mode_ != Mode::kRunning) return drained;
  ring_->Flush();
  if (ring_->broken()) broken_->Notify();
  return drained;
}

void VsockRx::ResetFlow(const std::shared_ptr<Flow>& flow) {
  MutexLock lock(mutex_);
  const Flow::Side me = flow->SideOf(*this);
  ReleaseHeld(*flow);
  if (!Erase(FlowKey::Of(*flow, me), *flow) || mode_ == Mode::kClosed) return;
  replies_.push_back(flow->ResetTo(me));
  Finish();
}

}  // namespace kinsock
