// SPDX-License-Identifier: Apache-2.0
#include "router/flow.h"

#include <algorithm>
#include <utility>

#include "base/probes.h"
#include "router/credit.h"

namespace kinsock {
namespace {

constexpr uint32_t kBothWays = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;

}  // namespace

Flow::Flow(uint64_t id, const VsockHeader& request, End initiator, End target, FlowJournal* journal)
    : id_(id),
      type_(request.type),
      ends_{std::move(initiator), std::move(target)},
      start_time_(std::chrono::system_clock::now()),
      asked_at_(Clock::Monotonic().Now()),
      journal_(journal) {
  sent_[0].packets.Add();
  Grant(Side::kInitiator, std::min(request.buf_alloc, kMaxWindow), request.fwd_cnt);
  CountTransient(+1);
}

Flow::Verdict Flow::Accept(const VsockHeader& header, Side from) {
  const State state = this->state();
  if (state == State::kClosed) return Verdict::kOver;
  if (header.type != type_) return Verdict::kViolation;
  Sent& sent = sent_[Index(from)];
  sent.packets.Add();
  if (header.op == VIRTIO_VSOCK_OP_RST) {
    // After both ends have shut down it is the confirmation (virtio 1.3, 5.10.6.7).
    const CloseReason reason = IsFinishing() ? CloseReason::kFinished : CloseReason::kGuestReset;
    return Close(reason) ? Verdict::kForwardAndClose : Verdict::kOver;
  }
  Grant(from, std::min(header.buf_alloc, kMaxWindow), header.fwd_cnt);

  if (state == State::kConnecting) return AcceptWhileConnecting(header, from);
  switch (header.op) {
    case VIRTIO_VSOCK_OP_RW:
      return AcceptPayload(header, from);
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
      return Verdict::kForward;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      return AcceptShutdown(header, from);
    default:  // REQUEST or RESPONSE on a connection that has both
      return Verdict::kViolation;
  }
}

Flow::Verdict Flow::AcceptWhileConnecting(const VsockHeader& header, Side from) {
  if (header.op == VIRTIO_VSOCK_OP_RESPONSE && from == Side::kTarget) {
    State expected = State::kConnecting;
    if (!state_.compare_exchange_strong(expected, State::kEstablished, std::memory_order_acq_rel)) {
      return Verdict::kOver;
    }
    CountTransient(-1);
    Recount(0, FlowInfo::State::kEstablished);
    CountResult(CloseReason::kNone);
    TellProbeOfOpening();
    if (journal_ != nullptr) journal_->durations().CountConnect(way(), Clock::Monotonic().Now() - asked_at_);
    return Verdict::kForward;
  }
  // Linux sends this when a program sets its buffer size while it connects.
  if (header.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE) return Verdict::kIgnore;
  return Verdict::kViolation;
}

Flow::Verdict Flow::AcceptPayload(const VsockHeader& header, Side from) {
  Sent& sent = sent_[Index(from)];
  if (sent.shutdown.load(std::memory_order_relaxed) & VIRTIO_VSOCK_SHUTDOWN_SEND) return Verdict::kViolation;
  // An empty packet that ends no message moves nothing, but would cost a buffer that no credit pays for.
  if (header.len == 0 && !EndsMessage(header)) return Verdict::kIgnore;
  // The sender cannot know of a grant that has not passed through here.
  const Sent& granted = sent_[1 - Index(from)];
  const uint32_t tx_cnt = sent.tx_cnt.load(std::memory_order_relaxed) + header.len;
  const uint32_t under_way = tx_cnt - granted.fwd_cnt.load(std::memory_order_relaxed);
  if (under_way > granted.largest_buf_alloc.load(std::memory_order_relaxed)) return Verdict::kOverCredit;
  sent.tx_cnt.store(tx_cnt, std::memory_order_relaxed);
  if (under_way >= Window(from)) BeginStall(from);
  return Verdict::kForward;
}

uint32_t Flow::UnderWay(Side from) const {
  return sent_[Index(from)].tx_cnt.load(std::memory_order_relaxed) -
         sent_[1 - Index(from)].fwd_cnt.load(std::memory_order_relaxed);
}

// A share that is used up is not the end: half of it is always left, or a receiver that reads slowly, and says so late,
// would never be sent what it waits for.
uint32_t Flow::Window(Side from) const {
  const uint32_t granted = sent_[1 - Index(from)].buf_alloc.load(std::memory_order_relaxed);
  const uint32_t share = sent_[Index(from)].share.load(std::memory_order_relaxed);
  return share >= granted ? granted : std::min(granted, std::max(share, UnderWay(from) + share / 2));
}

uint32_t Flow::Room(Side from) const {
  const uint32_t window = Window(from);
  const uint32_t under_way = UnderWay(from);
  return under_way >= window ? 0 : window - under_way;
}

void Flow::CountPacket(Side from) {
  const Sent& granted = sent_[1 - Index(from)];
  const uint32_t window = granted.buf_alloc.load(std::memory_order_relaxed);
  sent_[Index(from)].unread.Add(static_cast<uint32_t>(sent_[Index(from)].bytes.value()),
                                granted.fwd_cnt.load(std::memory_order_relaxed), UnreadPackets::Limit(window));
}

void Flow::EndPayload(Side from, uint32_t flags) {
  sent_[Index(from)].inside_message = type_ == VIRTIO_VSOCK_TYPE_SEQPACKET && (flags & VIRTIO_VSOCK_SEQ_EOM) == 0;
}

bool Flow::IsFull(Side from) const {
  if (sent_[Index(from)].inside_message) return false;
  const Sent& granted = sent_[1 - Index(from)];
  const uint32_t window = granted.buf_alloc.load(std::memory_order_relaxed);
  // Sequentially consistent: pairs with Grant(), which says what was read and then asks whether somebody waits for it.
  return sent_[Index(from)].unread.Count(granted.fwd_cnt.load(std::memory_order_seq_cst)) >=
         UnreadPackets::Limit(window);
}

// Pairs with StampGrant(), as ShouldAskForCredit() does: there the sender is told of its window, here the window or
// what it has sent changes. Either the one sees the change, or the other sees that the sender was told less.
void Flow::ShareWindow(Side from, uint32_t bytes) {
  Sent& sent = sent_[Index(from)];
  if (sent.share.load(std::memory_order_relaxed) == bytes) return;
  sent.share.store(bytes, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool Flow::ShouldAskForCredit(Side from) {
  Sent& sent = sent_[Index(from)];
  if (sent.asked.load(std::memory_order_relaxed)) return false;
  const Sent& granted = sent_[1 - Index(from)];
  const uint32_t window = granted.buf_alloc.load(std::memory_order_relaxed);
  const uint32_t share = sent.share.load(std::memory_order_relaxed);
  if (share < window) std::atomic_thread_fence(std::memory_order_seq_cst);
  // Of what it was told, and not only of what it would be told now: it knows of no share that has grown meanwhile.
  const uint32_t seen = std::min(share, sent.told_window.load(std::memory_order_relaxed));
  const bool short_of_share =
      sent.told_less.load(std::memory_order_relaxed) && (share >= window || UnderWay(from) >= seen / 2);
  const bool nearly_full =
      sent.unread.Count(granted.fwd_cnt.load(std::memory_order_relaxed)) >= UnreadPackets::Limit(window) / 2;
  if (!short_of_share && !nearly_full) return false;
  sent.asked.store(true, std::memory_order_relaxed);
  return true;
}

void Flow::CountSent(Side from, uint32_t bytes, uint32_t packets) {
  Sent& sent = sent_[Index(from)];
  sent.bytes.Add(bytes);
  sent.packets.Add(packets);
  sent.tx_cnt.store(sent.tx_cnt.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

void Flow::BeginStall(Side from) {
  if (!sent_[Index(from)].stall.Begin(Clock::Monotonic().Now())) return;
  stats(from).CountStall(Direction::kOut);
  stats(Opposite(from)).CountStall(Direction::kIn);
  TellProbeOfStall(from, std::chrono::nanoseconds::zero());
  if (Room(from) > 0) EndStall(from);  // it was granted in this moment
}

void Flow::EndStall(Side from) {
  const auto took = sent_[Index(from)].stall.End(Clock::Monotonic().Now());
  if (!took.has_value()) return;
  stats(from).CountStalled(Direction::kOut, static_cast<uint64_t>(took->count()));
  stats(Opposite(from)).CountStalled(Direction::kIn, static_cast<uint64_t>(took->count()));
  TellProbeOfStall(from, std::max(*took, std::chrono::nanoseconds(1)));
}

KINSOCK_HAS_PROBE void Flow::TellProbeOfStall(Side from, std::chrono::nanoseconds took) const {
  const End& sender = end(from);
  const End& receiver = other_end(from);
  ProbeCreditStall(sender.port->cid(), sender.vsock_port, receiver.port->cid(), receiver.vsock_port,
                   static_cast<uint64_t>(took.count()));
}

void Flow::Grant(Side side, uint32_t buf_alloc, uint32_t fwd_cnt) {
  Sent& sent = sent_[Index(side)];
  const bool first = sent.largest_buf_alloc.load(std::memory_order_relaxed) == 0;
  const auto ahead = static_cast<int32_t>(fwd_cnt - sent.fwd_cnt.load(std::memory_order_relaxed));
  if (!first && ahead < 0) return;
  const bool more = ahead > 0 || buf_alloc > sent.buf_alloc.load(std::memory_order_relaxed);
  sent.buf_alloc.store(buf_alloc, std::memory_order_relaxed);
  sent.fwd_cnt.store(fwd_cnt, std::memory_order_seq_cst);
  if (buf_alloc > sent.largest_buf_alloc.load(std::memory_order_relaxed)) {
    sent.largest_buf_alloc.store(buf_alloc, std::memory_order_relaxed);
  }
  const Side receiver = Opposite(side);
  sent_[Index(receiver)].asked.store(false, std::memory_order_relaxed);
  if (more && sent_[Index(receiver)].stall.MayEnd() && Room(receiver) > 0) EndStall(receiver);
}

void Flow::StampGrant(Side side, VsockHeader& header) {
  const Sent& sent = sent_[Index(side)];
  Sent& told = sent_[1 - Index(side)];
  const uint32_t granted = sent.buf_alloc.load(std::memory_order_relaxed);
  header.buf_alloc = Window(Opposite(side));
  if (header.buf_alloc < granted) {
    // Until it is known what it is told, whatever it sends is enough for ShouldAskForCredit().
    told.told_window.store(0, std::memory_order_relaxed);
    told.told_less.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    header.buf_alloc = Window(Opposite(side));
  }
  header.fwd_cnt = sent.fwd_cnt.load(std::memory_order_relaxed);
  told.told_window.store(header.buf_alloc, std::memory_order_relaxed);
  told.told_less.store(header.buf_alloc < granted, std::memory_order_relaxed);
}

Flow::Verdict Flow::AcceptShutdown(const VsockHeader& header, Side from) {
  const uint32_t flags = header.flags & kBothWays;
  const uint32_t before = sent_[Index(from)].shutdown.fetch_or(flags, std::memory_order_relaxed);
  if ((before | flags) == before) return Verdict::kIgnore;
  const bool finishing = IsFinishing();
  if (finishing && !finishing_.exchange(true, std::memory_order_relaxed)) CountTransient(+1);
  Recount(0, finishing ? FlowInfo::State::kClosing : FlowInfo::State::kHalfClosed);
  return Verdict::kForward;
}

bool Flow::Close(CloseReason reason) {
  State state = this->state();
  do {
    if (state == State::kClosed) return false;
  } while (!state_.compare_exchange_weak(state, State::kClosed, std::memory_order_acq_rel));
  close_reason_.store(reason, std::memory_order_relaxed);
  if (state == State::kConnecting || finishing_.load(std::memory_order_relaxed)) CountTransient(-1);
  const bool is_counted = Recount(0, FlowInfo::State::kClosed).ends != 0;
  state == State::kConnecting ? CountResult(reason) : CountEnd(reason);
  if (journal_ != nullptr && is_counted) {
    FlowInfo info = Info();
    info.accepted = state != State::kConnecting;
    info.close_time = std::chrono::system_clock::now();
    journal_->Closed(info);
    if (info.accepted) journal_->durations().CountConnection(way(), Clock::Monotonic().Now() - asked_at_);
  }
  return true;
}

void Flow::CountResult(CloseReason result) {
  for (const Side side : {Side::kInitiator, Side::kTarget}) {
    if (!IsCountedFor(side)) continue;
    stats(side).CountConnect(DirectionOf(side), result);
  }
}

void Flow::CountEnd(CloseReason reason) {
  for (const Side side : {Side::kInitiator, Side::kTarget}) {
    if (sent_[Index(side)].stall.MayEnd()) EndStall(side);  // most end without one: no clock is read
    if (IsCountedFor(side)) stats(side).CountClose(reason);
  }
  TellProbeOfEnd(reason);
}

KINSOCK_HAS_PROBE void Flow::TellProbeOfOpening() const {
  ProbeConnOpen(ends_[0].port->cid(), ends_[0].vsock_port, ends_[1].port->cid(), ends_[1].vsock_port, type_, id_);
}

KINSOCK_HAS_PROBE void Flow::TellProbeOfEnd(CloseReason reason) const {
  ProbeConnClose(ends_[0].port->cid(), ends_[0].vsock_port, ends_[1].port->cid(), ends_[1].vsock_port,
                 CloseReasonName(reason), sent_[0].bytes.value() + sent_[1].bytes.value());
}

Flow::Tally Flow::Recount(uint8_t more_ends, FlowInfo::State state) {
  Tally before = tally_.load(std::memory_order_relaxed);
  Tally after;
  do {
    after = {.ends = static_cast<uint8_t>(before.ends | more_ends), .state = std::max(before.state, state)};
    if (after == before) return after;
  } while (!tally_.compare_exchange_weak(before, after, std::memory_order_relaxed));
  for (const Side side : {Side::kInitiator, Side::kTarget}) {
    if ((before.ends & EndBit(side)) != 0) stats(side).CountState(before.state, -1);
    if ((after.ends & EndBit(side)) != 0) stats(side).CountState(after.state, +1);
  }
  return after;
}

bool Flow::IsFinishing() const {
  const uint32_t initiator = shutdown(Side::kInitiator);
  const uint32_t target = shutdown(Side::kTarget);
  return initiator == kBothWays || target == kBothWays || (initiator & target & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
}

VsockHeader Flow::ResetTo(Side to) const {
  const End& receiver = end(to);
  const End& sender = other_end(to);
  return {.src_cid = sender.port->cid(),
          .dst_cid = receiver.port->cid(),
          .src_port = sender.vsock_port,
          .dst_port = receiver.vsock_port,
          .type = type_,
          .op = VIRTIO_VSOCK_OP_RST};
}

FlowInfo::End Flow::DescribeEnd(Side side) const {
  const End& end = this->end(side);
  FlowInfo::End out{.device = end.port->device(), .cid = end.port->cid(), .port = end.vsock_port};
  if (out.cid != kHostCid) return out;
  out.host_pid = host_peer_.pid;
  out.host_uid = host_peer_.uid;
  out.host_cid = host_peer_.cid;
  out.host_port = host_peer_.port;
  return out;
}

FlowInfo Flow::Info() const {
  FlowInfo info;
  info.id = id_;
  info.type = type_;
  info.close_reason = close_reason();
  info.initiator = DescribeEnd(Side::kInitiator);
  info.target = DescribeEnd(Side::kTarget);
  info.start_time = start_time_;
  switch (state()) {
    case State::kConnecting:
      info.state = FlowInfo::State::kConnecting;
      break;
    case State::kEstablished:
      info.accepted = true;
      info.state = IsFinishing()                                          ? FlowInfo::State::kClosing
                   : shutdown(Side::kInitiator) | shutdown(Side::kTarget) ? FlowInfo::State::kHalfClosed
                                                                          : FlowInfo::State::kEstablished;
      break;
    case State::kClosed:
      info.state = FlowInfo::State::kClosed;
      break;
  }
  const auto direction = [this, now = Clock::Monotonic().Now()](Side from) {
    const Sent& sent = sent_[Index(from)];
    const Sent& granted = sent_[1 - Index(from)];
    return FlowInfo::Direction{.bytes = sent.bytes.value(),
                               .packets = sent.packets.value(),
                               .buf_alloc = granted.buf_alloc.load(std::memory_order_relaxed),
                               .fwd_cnt = granted.fwd_cnt.load(std::memory_order_relaxed),
                               .credit = Room(from),
                               .credit_stalls = sent.stall.count(),
                               .stalled = sent.stall.total(now)};
  };
  info.to_target = direction(Side::kInitiator);
  info.to_initiator = direction(Side::kTarget);
  return info;
}

}  // namespace kinsock
