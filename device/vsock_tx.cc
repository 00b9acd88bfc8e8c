// SPDX-License-Identifier: Apache-2.0
#include "device/vsock_tx.h"

#include <algorithm>
#include <utility>

#include "base/probes.h"
#include "router/switch.h"

namespace kinsock {
namespace {

// Packets taken off the ring before the lanes are served: the lanes should see what competes.
constexpr int kFetchBatch = 64;

// What a lane may deliver in its turn: a full window of one connection.
constexpr uint32_t kTurnBytes = 256 * 1024;

// What the guest may spend before the other devices of the reactor get their turn: some tens of microseconds. A packet
// costs its payload and what it takes to look at it; a REQUEST makes a flow, and perhaps a socket.
constexpr uint64_t kRunBudget = 1024 * 1024;
constexpr uint64_t kPacketCost = 1024;
constexpr uint64_t kSettleCost = 256;
constexpr uint64_t kRequestCost = 16 * 1024;

// How often is looked at who shares the ring.
constexpr std::chrono::milliseconds kEpoch{1};

// Lanes that are kept although nothing waits in them.
constexpr size_t kIdleLanes = 64;

// What a receiver earns a rest with: a gigabyte or a million packets per second.
constexpr std::chrono::nanoseconds kPatiencePerByte{1};
constexpr std::chrono::nanoseconds kPatiencePerPacket{1000};

}  // namespace

VsockTx::VsockTx(Environment environment)
    : env_(std::move(environment)),
      run_(Wakeup::Create(env_.loop, [this] { Run(); })),
      offer_held_(Wakeup::Create(env_.loop, [this] { OfferHeld(Asking::kNo); })) {
  env_.rx->SetReleased(offer_held_);
  OnLimits();
}

VsockTx::~VsockTx() {
  env_.loop.Unpoll(*this);
  queue_.reset();
  EndRest();
  DropPackets();
  if (ask_timer_armed_) env_.loop.Cancel(ask_timer_);
  if (over_rate_) env_.loop.Cancel(rate_timer_);
  env_.rx->SetReleased(nullptr);
  offer_held_->Disarm();
  run_->Disarm();
}

void VsockTx::Start(Virtqueue queue, std::shared_ptr<VmmEventFd> call) {
  queue_.emplace(std::move(queue));
  call_ = std::move(call);
  broken_ = false;
  run_->Notify();  // what was added before we listened brings no kick
}

uint16_t VsockTx::Stop() {
  if (!queue_.has_value()) return 0;
  env_.loop.Unpoll(*this);
  EndRest();
  FreeRing(kMaxPatience);
  Publish();
  const uint16_t next_avail = queue_->next_avail();
  queue_.reset();
  call_.reset();
  return next_avail;
}

void VsockTx::DropPackets() {
  for (auto& [key, held] : held_) DropHeld(held);
  held_.clear();
  for (auto& [port, lane] : lanes_) {
    lane->resume->Disarm();
    while (!lane->waiting.empty()) {
      auto& packet = static_cast<TxPacket&>(lane->waiting.PopFront());
      backlog_.Release(packet, *lane->port);
      Recycle(packet);
    }
  }
  active_.clear();
  turn_.clear();
  last_lane_ = nullptr;
  lanes_.clear();
}

absl::Status VsockTx::Relocate(std::shared_ptr<const GuestMemory> memory) {
  if (!queue_.has_value()) return absl::OkStatus();
  FreeRing(kMaxPatience);  // payloads of waiting packets lie in the old mapping
  Publish();
  return queue_->Relocate(std::move(memory));
}

bool VsockTx::OnKick() {
  env_.stats.from_guest_kicks.Add();
  const bool useful = queue_.has_value() && queue_->HasAvailable() && !over_rate_;
  Run();
  return useful;
}

void VsockTx::SetPaused(bool paused) {
  if (std::exchange(paused_, paused) && !paused) Run();
}

void VsockTx::SetRx(VsockRx& rx) {
  EndRest();
  DropPackets();
  Publish();
  env_.rx = &rx;
  rx.SetReleased(offer_held_);
  run_->Notify();
}

void VsockTx::OnLimits() {
  const MonotonicTime now = env_.loop.clock().Now();
  bytes_.SetRate(env_.limits.bytes_from_guest, now);
  packets_.SetRate(env_.limits.packets_from_guest, now);
  rated_ = bytes_.limited() || packets_.limited();
  if (std::exchange(over_rate_, false)) env_.loop.Cancel(rate_timer_);
  run_->Notify();
}

void VsockTx::Run() {
  if (queue_.has_value()) queue_->DisableKicks();
  if (env_.loop.now() - epoch_began_ >= kEpoch) BeginEpoch();
  spent_ = 0;
  while (spent_ < kRunBudget) {
    const bool may_fetch = MayServeRing();
    const bool fetched = may_fetch && Fetch();
    const bool more = ServeLanes();
    if (queue_.has_value()) queue_->Show();
    if (broken()) {
      Publish();
      env_.broken->Notify();
      return;
    }
    if (fetched || more) continue;
    const bool polled = may_fetch && !resting_ && env_.loop.Poll(*this);
    // A driver that is looked at will be looked at again, or get Rest(): it is interrupted for many chains at once.
    if (!polled || queue_->unpublished() >= queue_->size() / 4) Publish();
    if (polled || resting_ || !may_fetch || !queue_->EnableKicks()) return;
  }
  Publish();
  run_->Notify();
}

bool VsockTx::Poll() {
  if (!queue_.has_value() || resting_ || paused_ || over_rate_ || !queue_->HasAvailable()) return false;
  Run();
  return true;
}

bool VsockTx::Rest() {
  Publish();
  if (!queue_.has_value() || resting_ || paused_ || over_rate_ || !queue_->EnableKicks()) return false;
  Run();
  return true;
}

bool VsockTx::MayServeRing() {
  if (!queue_.has_value() || broken_ || paused_ || HeldByReplies()) return false;
  if (rated_ && OverRate()) return false;
  if (!env_.allowance.spent()) return true;
  env_.allowance.Refill(env_.loop.now(), env_.rx->earned());
  if (!env_.allowance.spent()) return true;
  env_.spent->Notify();
  return false;
}

// Whether the guest has to post receive buffers first, for the RSTs that it has caused.
bool VsockTx::HeldByReplies() {
  if (!env_.rx->RepliesBackedUp(run_)) return false;
  env_.stats.from_guest_limited_replies.Add();
  return true;
}

// Whether the guest has sent as much as it may, for now: its ring is left alone until it may again.
bool VsockTx::OverRate() {
  if (over_rate_) return true;
  if (!bytes_.Spent() && !packets_.Spent()) return false;
  const MonotonicTime now = env_.loop.clock().Now();
  bytes_.Refill(now);
  packets_.Refill(now);
  if (!bytes_.Spent() && !packets_.Spent()) return false;
  if (bytes_.Spent()) env_.stats.from_guest_limited_bytes.Add();
  if (packets_.Spent()) env_.stats.from_guest_limited_packets.Add();
  env_.rx->NoteLimited();
  over_rate_ = true;
  rate_timer_ = env_.loop.RunAfter(std::max(bytes_.TimeToRefill(), packets_.TimeToRefill()), [this] {
    over_rate_ = false;
    Run();
  });
  return true;
}

// True if anything was taken.
bool VsockTx::Fetch() {
  int taken = 0;
  for (; taken < kFetchBatch && spent_ < kRunBudget; ++taken) {
    if (!MayFetch() || (rated_ && OverRate())) break;
    TxPacket& packet = pool_.Take();
    const Virtqueue::PopResult result = queue_->Pop(packet.chain);
    if (result == Virtqueue::PopResult::kChain) {
      env_.stats.from_guest_packets.Add();
      packets_.Spend(1);
      spent_ += kPacketCost;
      if (TakePacket(packet)) continue;
    }
    if (result == Virtqueue::PopResult::kChain || result == Virtqueue::PopResult::kMalformed) {
      env_.stats.from_guest_malformed_chains.Add();
      env_.allowance.Charge(ControlAllowance::kPacket);
      spent_ += kPacketCost;
      Recycle(packet);
      continue;
    }
    if (result == Virtqueue::PopResult::kBroken) broken_ = true;
    pool_.Put(packet);
    break;
  }
  return taken > 0;
}

// Reads the header, once. False if there is none.
KINSOCK_HAS_PROBE bool VsockTx::TakePacket(TxPacket& packet) {
  VsockHeaderWire wire;
  ScatterList& readable = packet.chain.readable;
  if (readable.CopyOut(0, &wire, sizeof(wire)) < sizeof(wire)) return false;
  packet.header = Decode(wire);
  ProbePacket(packet.header.src_cid, packet.header.src_port, packet.header.dst_cid, packet.header.dst_port,
              packet.header.op, packet.header.len);
  readable.RemovePrefix(sizeof(wire));
  std::swap(packet.payload, readable);
  if (CaptureTap* const tap = CaptureTap::Active()) [[unlikely]]
    Capture(*tap, packet);
  Dispatch(packet);
  return true;
}

void VsockTx::Dispatch(TxPacket& packet) {
  const VsockHeader& header = packet.header;
  const Decision decision = DecideRoute(header, packet.payload.size(), *env_.rx, env_.host.get(), env_.routes);
  if (env_.driver_cid.may_be_former()) {
    if (decision.drop == DropReason::kSpoofedSource && env_.driver_cid.IsFormer(header.src_cid)) {
      return RefuseFormer(packet);
    }
    const bool is_present = decision.action != Decision::Action::kDrop;
    if (is_present && env_.driver_cid.OnPresent()) env_.driver_cid_changed->Notify();
  }
  if (decision.action == Decision::Action::kDrop) {
    CountDrop(decision);
    env_.allowance.Charge(ControlAllowance::kPacket);
    return Recycle(packet);
  }
  if (decision.action == Decision::Action::kReset) {
    packet.reason = decision.reason;
    packet.flow = env_.rx->Find(FlowKey::OfSender(header));
    if (header.op == VIRTIO_VSOCK_OP_REQUEST) CountRefused(packet);
    SettleRefused(packet, decision.refusal);
    return Recycle(packet);
  }
  packet.payload.Truncate(header.len);
  bytes_.Spend(header.len);
  const bool to_host = decision.port == env_.host.get();
  const StatsPeer peer = to_host ? StatsPeer::kHost : StatsPeer::kSibling;
  env_.stats.from_guest_packets_of(peer, OpClassOf(header.op)).Add();
  (to_host ? env_.stats.from_guest_host_bytes : env_.stats.from_guest_sibling_bytes).Add(header.len);
  if (header.op == VIRTIO_VSOCK_OP_REQUEST) spent_ += kRequestCost;
  if (header.op == VIRTIO_VSOCK_OP_REQUEST && !Admit(packet, *decision.port)) {
    CountRefused(packet);
    SettleRefused(packet, RefusalOf(packet));
    return Recycle(packet);
  }
  TxLane& lane = LaneFor(*decision.port);
  lane.waiting.PushBack(packet);
  if (lane.in_ring == nullptr) lane.in_ring = &packet;
  if (!lane.blocked) Activate(lane);
}

// Looks at who has sent to whom in the last epoch.
void VsockTx::BeginEpoch() {
  epoch_began_ = env_.loop.now();
  ++epoch_;
  const uint32_t ring_entries = queue_.has_value() ? queue_->size() : 0;
  RingUse use;
  for (auto& [port, lane] : lanes_) {
    lane->traffic.flows = lane->flows;
    use.Add(lane->traffic);
  }
  for (auto& [port, lane] : lanes_) {
    lane->share = RingShare(lane->traffic, use, ring_entries);
    lane->traffic = {};
    lane->flows = 0;
    lane->epoch = epoch_;
  }
}

// Each active lane gets a turn. True if some have more to deliver.
bool VsockTx::ServeLanes() {
  turn_.clear();
  turn_.swap(active_);
  for (TxLane* lane : turn_) {
    lane->active = false;
    const uint32_t budget = kTurnBytes - std::min(std::exchange(lane->overdraft, 0), kTurnBytes - 1);
    const Port::Progress progress = lane->port->Deliver(*lane, budget);
    lane->blocked = progress == Port::Progress::kBlocked;
    if (progress == Port::Progress::kBudget) Activate(*lane);
    Settle(*lane);
  }
  return !active_.empty();
}

void VsockTx::Settle(TxLane& lane) {
  const auto* next = static_cast<TxPacket*>(lane.waiting.front());
  if (next == nullptr || next->chain.owed()) lane.in_ring = static_cast<TxPacket*>(lane.waiting.front());
  while (!lane.done.empty()) {
    auto& packet = static_cast<TxPacket&>(lane.done.PopFront());
    spent_ += kSettleCost + packet.header.len;
    if (packet.outcome == Packet::Outcome::kHeld) {
      Hold(lane, packet);
      continue;
    }
    if (packet.header.op == VIRTIO_VSOCK_OP_RW) {
      lane.traffic.bytes += packet.header.len;
      ++lane.traffic.packets;
    }
    backlog_.Release(packet, *lane.port);
    Account(packet);
    lane.patience += kPatiencePerPacket + packet.header.len * kPatiencePerByte;
    if (packet.outcome == Packet::Outcome::kClosed) env_.rx->Forget(*packet.flow);
    if (packet.outcome == Packet::Outcome::kRefused) SettleRefused(packet, RefusalOf(packet));
    Recycle(packet);
  }
}

// What moves nothing is charged; what moves something pays for what belongs to it.
void VsockTx::Account(const TxPacket& packet) {
  const uint16_t op = packet.header.op;
  if (packet.outcome == Packet::Outcome::kRefused || packet.outcome == Packet::Outcome::kClosed) return;
  if (packet.outcome == Packet::Outcome::kDelivered && packet.header.len > 0) {
    return env_.allowance.Earn(ControlAllowance::kPayload);
  }
  if (packet.outcome == Packet::Outcome::kDelivered && op == VIRTIO_VSOCK_OP_RESPONSE) {
    return env_.allowance.Earn(ControlAllowance::kConnection);
  }
  const bool asks = op == VIRTIO_VSOCK_OP_CREDIT_REQUEST;
  env_.allowance.Charge(asks ? ControlAllowance::kCreditRequest : ControlAllowance::kPacket);
}

void VsockTx::Recycle(TxPacket& packet) {
  if (packet.chain.owed()) queue_->Return(packet.chain, 0);
  if (packet.captured.size != 0) [[unlikely]]
    ForgetPrivatePayload(packet);
  pool_.Put(packet);
}

VsockTx::TxLane& VsockTx::LaneFor(Port& port) {
  if (last_lane_ != nullptr && last_lane_->port.get() == &port) return *last_lane_;
  std::unique_ptr<TxLane>& lane = lanes_[&port];
  if (lane == nullptr) {
    lane = std::make_unique<TxLane>();
    lane->port = port.shared_from_this();
    lane->resume = Wakeup::Create(env_.loop, [this, lane = lane.get()] {
      lane->blocked = false;
      if (!lane->waiting.empty()) Activate(*lane);
      run_->Notify();  // not Run(), which may forget this lane and with it this function
    });
    TxLane& created = *lane;
    if (lanes_.size() > kIdleLanes) ForgetIdleLanes(&created);
    last_lane_ = &created;
    return created;
  }
  last_lane_ = lane.get();
  return *lane;
}

void VsockTx::Activate(TxLane& lane) {
  if (std::exchange(lane.active, true)) return;
  active_.push_back(&lane);
}

void VsockTx::ForgetIdleLanes(const TxLane* keep) {
  last_lane_ = nullptr;
  absl::erase_if(lanes_, [keep](auto& entry) {
    TxLane& lane = *entry.second;
    if (&lane == keep || lane.active || !lane.waiting.empty() || lane.held_flows > 0) return false;
    lane.resume->Disarm();
    return true;
  });
}

void VsockTx::Publish() {
  if (!queue_.has_value() || !queue_->Publish()) return;
  env_.stats.from_guest_interrupts.Add();
  if (call_ != nullptr) call_->Signal();
}

}  // namespace kinsock
