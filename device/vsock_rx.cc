// SPDX-License-Identifier: Apache-2.0
#include "device/vsock_rx.h"

#include <algorithm>
#include <utility>

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

// True if no reply waits any more.
bool VsockRx::FlushReplies() {
  static const ScatterList kNoPayload;
  while (mode_ == Mode::kRunning && !replies_.empty()) {
    if (!ring_->Put(replies_.front(), kNoPayload, 0).has_value()) return false;
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

// Whether payload has to wait: the guest has got as much as it may, for now. Then `resume` will be notified.
bool VsockRx::OverRate(const std::shared_ptr<Wakeup>& resume) {
  if (!bytes_.Spent()) return false;
  bytes_.Refill(loop_.clock().Now());
  if (!bytes_.Spent()) return false;
  if (limited_waiters_.empty()) {
    stats_->to_guest_limited_bytes.Add();
    NoteLimited();
    over_rate_->Notify();
  }
  if (std::find(limited_waiters_.begin(), limited_waiters_.end(), resume) == limited_waiters_.end()) {
    limited_waiters_.push_back(resume);
  }
  return true;
}

// Counts a connection that begins, unless too many have.
bool VsockRx::MayConnect() {
  if (connects_.Spent()) connects_.Refill(loop_.clock().Now());
  if (connects_.Spent()) return false;
  connects_.Spend(1);
  return true;
}

void VsockRx::SetLimits(const DeviceLimits& limits) {
  const MonotonicTime now = loop_.clock().Now();
  MutexLock lock(mutex_);
  max_connections_ = limits.max_connections;
  set_max_buffered_bytes(limits.max_buffered_bytes);
  connects_.SetRate(limits.connects, now);
  bytes_.SetRate(limits.bytes_to_guest, now);
  WakeLimited();
}

std::chrono::nanoseconds VsockRx::TimeToRefill() {
  MutexLock lock(mutex_);
  return bytes_.TimeToRefill();
}

void VsockRx::Refill() {
  MutexLock lock(mutex_);
  bytes_.Refill(loop_.clock().Now());
  WakeLimited();
}

// Who still has to wait says so again, after those that could not go on last time.
void VsockRx::WakeLimited() {
  for (const std::shared_ptr<Wakeup>& waiter : limited_waiters_) waiter->Notify();
  limited_waiters_.clear();
}

// True if `resume` will be notified; false if there are buffers after all.
bool VsockRx::WaitForBuffers(const std::shared_ptr<Wakeup>& resume) {
  if (mode_ == Mode::kRunning && HasOrAwaitsBuffers()) return false;
  if (std::find(waiters_.begin(), waiters_.end(), resume) == waiters_.end()) waiters_.push_back(resume);
  return true;
}

// True if there are buffers; else news of some will come, from the loop that looks or by a kick.
bool VsockRx::HasOrAwaitsBuffers() { return polled_ ? ring_->HasBuffers() : ring_->AwaitBuffers(); }

void VsockRx::StopPolling() {
  loop_.Unpoll(*this);
  polled_ = false;
}

void VsockRx::WakeWaiters() {
  contenders_ = waiters_.size();
  for (const std::shared_ptr<Wakeup>& waiter : waiters_) waiter->Notify();
  waiters_.clear();
}

void VsockRx::ResetFlow(const std::shared_ptr<Flow>& flow) {
  MutexLock lock(mutex_);
  const Flow::Side me = flow->SideOf(*this);
  ReleaseHeld(*flow);
  if (!Erase(FlowKey::Of(*flow, me), *flow) || mode_ == Mode::kClosed) return;
  replies_.push_back(flow->ResetTo(me));
  Finish();
}

void VsockRx::Start(ReceiveRing ring) {
  MutexLock lock(mutex_);
  ring_.emplace(std::move(ring));
  mode_ = Mode::kRunning;
  Finish();
  WakeWaiters();
}

std::shared_ptr<const GuestMemory> VsockRx::Stop(uint16_t& next_avail) {
  MutexLock lock(mutex_);
  if (mode_ != Mode::kRunning) return nullptr;
  next_avail = ring_->next_avail();
  std::shared_ptr<const GuestMemory> memory = ring_->shared_memory();
  ring_.reset();
  StopPolling();
  mode_ = Mode::kStopped;
  return memory;
}

std::shared_ptr<const GuestMemory> VsockRx::Close() {
  MutexLock lock(mutex_);
  std::shared_ptr<const GuestMemory> memory;
  if (ring_.has_value()) memory = ring_->shared_memory();
  ring_.reset();
  StopPolling();
  mode_ = Mode::kClosed;
  replies_.clear();
  WakeWaiters();
  WakeLimited();
  return memory;
}

void VsockRx::SetCall(std::shared_ptr<const UniqueFd> call) {
  MutexLock lock(mutex_);
  if (ring_.has_value()) ring_->SetCall(std::move(call));
}

absl::Status VsockRx::Relocate(std::shared_ptr<const GuestMemory> memory) {
  MutexLock lock(mutex_);
  return ring_.has_value() ? ring_->Relocate(std::move(memory)) : absl::OkStatus();
}

bool VsockRx::OnKick() {
  MutexLock lock(mutex_);
  stats_->to_guest_kicks.Add();
  if (mode_ != Mode::kRunning) return false;
  const bool useful = (!waiters_.empty() || !replies_.empty()) && ring_->HasBuffers();
  if (Finish()) WakeWaiters();
  polled_ = loop_.Poll(*this);
  return useful;
}

bool VsockRx::Poll() {
  MutexLock lock(mutex_);
  if (mode_ != Mode::kRunning || (waiters_.empty() && replies_.empty()) || !ring_->HasManyBuffers()) return false;
  if (Finish()) WakeWaiters();
  return true;
}

bool VsockRx::Rest() {
  MutexLock lock(mutex_);
  polled_ = false;
  if (mode_ != Mode::kRunning || (waiters_.empty() && replies_.empty()) || !ring_->AwaitBuffers()) return false;
  if (Finish()) WakeWaiters();
  return true;
}

bool VsockRx::broken() {
  MutexLock lock(mutex_);
  return ring_.has_value() && ring_->broken();
}

VsockRx::AdmitResult VsockRx::Admit(const std::shared_ptr<Flow>& flow) {
  MutexLock lock(mutex_);
  if (flows_.size() + replies_.size() >= max_connections_) return AdmitResult::kFull;
  if (!MayConnect()) return AdmitResult::kTooOften;
  const Flow::Side me = flow->SideOf(*this);
  if (!flows_.Insert(FlowKey::Of(*flow, me), flow)) return AdmitResult::kTaken;
  flow->CountFor(me);
  return AdmitResult::kAdmitted;
}

std::shared_ptr<Flow> VsockRx::Find(const FlowKey& key) {
  MutexLock lock(mutex_);
  const std::shared_ptr<Flow>* found = flows_.Find(key);
  return found == nullptr ? nullptr : *found;
}

void VsockRx::Forget(const Flow& flow) {
  MutexLock lock(mutex_);
  Erase(FlowKey::Of(flow, flow.SideOf(*this)), flow);
}

FlowTable::Map VsockRx::TakeFlows() {
  MutexLock lock(mutex_);
  replies_.clear();
  FlowTable::Map flows = flows_.TakeAll();
  NoteIfDrained();
  return flows;
}

std::vector<std::shared_ptr<Flow>> VsockRx::Flows() {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Flow>> flows;
  flows.reserve(flows_.size());
  for (const auto& [key, flow] : flows_.flows()) flows.push_back(flow);
  return flows;
}

void VsockRx::SendReply(const VsockHeader& header) {
  MutexLock lock(mutex_);
  if (mode_ == Mode::kClosed) return;
  replies_.push_back(header);
  Finish();
}

bool VsockRx::RepliesBackedUp(const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  return replies_.size() >= kMaxQueuedReplies && WaitForBuffers(resume);
}

bool VsockRx::TrySend(const VsockHeader& header, const std::shared_ptr<Wakeup>& resume) {
  static const ScatterList kNoPayload;
  MutexLock lock(mutex_);
  while (mode_ != Mode::kRunning || !FlushReplies() || !ring_->Put(header, kNoPayload, 0).has_value()) {
    if (!WaitForBuffers(resume)) continue;
    Finish();
    return false;
  }
  CountEarned(header, 1);
  Finish();
  return true;
}

ReceiveRing::ReadResult VsockRx::ReadFrom(int fd, const VsockHeader& header, uint32_t limit,
                                          const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  ReceiveRing::ReadResult result{.status = ReceiveRing::ReadResult::Status::kNoBuffers};
  if (OverRate(resume)) return result;
  limit = bytes_.AtMost(limit);
  do {
    if (mode_ == Mode::kRunning && FlushReplies()) result = ring_->ReadFrom(fd, header, limit);
  } while (result.status == ReceiveRing::ReadResult::Status::kNoBuffers && !WaitForBuffers(resume));
  bytes_.Spend(result.bytes);
  earned_.Add(result.packets * ControlAllowance::kPayload);
  Finish();
  return result;
}

ReceiveRing::ReadResult VsockRx::PutBytes(absl::string_view bytes, const VsockHeader& header,
                                          const std::shared_ptr<Wakeup>& resume) {
  ScatterList payload;
  payload.Append(const_cast<char*>(bytes.data()), bytes.size());  // only read
  MutexLock lock(mutex_);
  ReceiveRing::ReadResult result{.status = ReceiveRing::ReadResult::Status::kNoBuffers};
  if (OverRate(resume)) return result;
  do {
    while (mode_ == Mode::kRunning && result.bytes < bytes.size() && FlushReplies()) {
      const std::optional<uint32_t> put = ring_->Put(header, payload, result.bytes);
      if (!put.has_value()) break;
      result.bytes += *put;
      ++result.packets;
    }
  } while (result.bytes == 0 && !WaitForBuffers(resume));
  if (result.bytes > 0) result.status = ReceiveRing::ReadResult::Status::kOk;
  bytes_.Spend(result.bytes);
  earned_.Add(result.packets * ControlAllowance::kPayload);
  Finish();
  return result;
}

ReceiveRing::ReadResult VsockRx::ReadMessage(int fd, const VsockHeader& header, uint32_t limit, uint32_t largest,
                                             const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  ReceiveRing::ReadResult result{.status = ReceiveRing::ReadResult::Status::kNoBuffers};
  if (OverRate(resume)) return result;
  limit = bytes_.AtMost(limit);
  do {
    if (mode_ == Mode::kRunning && FlushReplies()) result = ring_->ReadMessage(fd, header, limit, largest);
  } while (result.status == ReceiveRing::ReadResult::Status::kNoBuffers && !WaitForBuffers(resume));
  bytes_.Spend(result.bytes);
  earned_.Add(result.packets * ControlAllowance::kPayload);
  Finish();
  return result;
}

}  // namespace kinsock
