// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_H_
#define KINSOCK_ROUTER_FLOW_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/counter.h"
#include "router/close_reason.h"
#include "router/credit.h"
#include "router/credit_stall.h"
#include "router/flow_durations.h"
#include "router/flow_info.h"
#include "router/flow_journal.h"
#include "router/port.h"
#include "router/unread_packets.h"
#include "router/vsock_header.h"

namespace kinsock {

// One connection, from the REQUEST that asks for it to the RST that ends it (virtio 1.3, 5.10.6.5):
//
//      REQUEST                  RESPONSE of the target
//     ---------> kConnecting ---------------------------> kEstablished
//                     |                                        |
//                     | RST, timeout, quota, an end gone       | RST, violation, an end gone,
//                     v                                        v shut down and silent
//                  kClosed <-----------------------------------+
//
// A half-close (SHUTDOWN) changes no state: each end's flags say what it has given up, and the other
// direction goes on.
//
// Threads: both ends look a flow up in a table of their own (flow_table.h), so two reactors may work on one
// flow at the same time. What the initiator sent is written by whoever delivers to the target, under the
// target's lock, and the other way round; the state is atomic, and Close() succeeds once.
class Flow {
 public:
  enum class Side : uint8_t { kInitiator = 0, kTarget = 1 };
  enum class State : uint8_t { kConnecting, kEstablished, kClosed };

  // What a packet means to the flow.
  enum class Verdict : uint8_t {
    kForward,          // pass it on
    kForwardAndClose,  // pass it on, then the flow is over (it is closed already)
    kIgnore,           // legal, without effect for the other end
    kViolation,        // not allowed in this state: reset both ends
    kOverCredit,       // more than the receiver has ever granted: reset both ends
    kOver,             // the flow was closed by someone else
  };

  struct End {
    std::shared_ptr<Port> port;
    uint32_t vsock_port = 0;
  };

  // The program behind a host end, as far as the kernel tells (FlowInfo::End).
  struct HostPeer {
    int64_t pid = 0;
    int64_t uid = -1;
    Cid cid = 0;
    uint32_t port = 0;
  };

  // `request`: the REQUEST that asks for it. `journal`: told when the flow ends, if an end had it in its table; may be
  // null, is not owned, and outlives the flow as far as that is still to be closed.
  Flow(uint64_t id, const VsockHeader& request, End initiator, End target, FlowJournal* journal = nullptr);
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // Judges a packet that `from` sent after the REQUEST and takes over what it says. Under the lock of the
  // receiving end.
  Verdict Accept(const VsockHeader& header, Side from);

  // What `side` grants to the other end from now on; an older word than the last one has no effect. Part of Accept()
  // for packets that go through it. On the reactor of `side`.
  void Grant(Side side, uint32_t buf_alloc, uint32_t fwd_cnt);

  // Puts the newest grant of `side` into a packet of its own: one that has waited may carry an older one, which
  // would take credit back.
  void StampGrant(Side side, VsockHeader& header);

  // Notes payload that the receiving end now has. Under the lock of the receiving end.
  void CountDelivered(Side from, uint32_t bytes) { sent_[Index(from)].bytes.Add(bytes); }
  // The same for payload of a host end, which goes to the guest past Accept(). On its reactor.
  void CountSent(Side from, uint32_t bytes, uint32_t packets);

  // `side` has the flow in its table: what becomes of the request is counted there, too. Under its lock.
  void CountFor(Side side) { Recount(EndBit(side), FlowInfo::State::kConnecting); }

  // `from` has used up its credit; the other end's next grant ends the stall. Part of Accept() for guests, of which
  // is not known whether they have more to send. On the reactor of a host end.
  void BeginStall(Side from);

  // --- What the receiver has not read yet. Under the lock of the receiving end, by the sender's reactor. ---

  // `from` may see this much of the receiver's window, however much was granted: the rest is for others who send to
  // somebody else through the same ring (docs/adr/0009-shares-by-window.md). It always sees some room.
  void ShareWindow(Side from, uint32_t bytes);
  // For counting the flows that are active at a time: true for the first call with this `epoch`.
  bool JoinEpoch(Side from, uint32_t epoch) { return std::exchange(sent_[Index(from)].epoch, epoch) != epoch; }
  // The receiver has one more packet of `from`, which ends where CountDelivered() has counted to.
  void CountPacket(Side from);
  // The receiver has all of a packet of payload with these flags.
  void EndPayload(Side from, uint32_t flags);
  // Whether the receiver must not get another packet before it has read some (unread_packets.h). Never inside a
  // message, of which it can read nothing before it has the end.
  bool IsFull(Side from) const;
  // Whether the receiver should be asked what it has read: it may not say so by itself before the sender is out of
  // room, or before it IsFull(). True once for each grant.
  bool ShouldAskForCredit(Side from);

  // Packets of `from` wait at its reactor until the receiver has read some. Set by that reactor; read where grants come
  // in.
  void Hold(Side from, bool held) { sent_[Index(from)].held.store(held, std::memory_order_seq_cst); }
  bool IsHeld(Side from) const { return sent_[Index(from)].held.load(std::memory_order_seq_cst); }

  // Ends the flow. False if it was closed before: somebody else is telling the ends. Any thread.
  bool Close(CloseReason reason);

  // Who is behind the host end. On its reactor, which is that of the other end too.
  void SetHostPeer(const HostPeer& peer) { host_peer_ = peer; }

  uint64_t id() const { return id_; }
  uint16_t type() const { return type_; }
  State state() const { return state_.load(std::memory_order_acquire); }
  CloseReason close_reason() const { return close_reason_.load(std::memory_order_relaxed); }
  const End& end(Side side) const { return ends_[Index(side)]; }
  const End& other_end(Side side) const { return ends_[1 - Index(side)]; }

  // Which side `port` is on. The two ends are never the same port.
  Side SideOf(const Port& port) const { return ends_[0].port.get() == &port ? Side::kInitiator : Side::kTarget; }

  // The SHUTDOWN flags that `side` has sent so far (VIRTIO_VSOCK_SHUTDOWN_*).
  uint32_t shutdown(Side side) const { return sent_[Index(side)].shutdown.load(std::memory_order_relaxed); }
  // Whether nothing but an RST can follow: one end has given up both directions, or both ends sending.
  bool IsFinishing() const;

  // Waits for a packet that must come: an answer to the request, or the RST that confirms a shutdown.
  bool IsTransient() const { return state() == State::kConnecting || IsFinishing(); }

  // For the periodic search for transient flows that stay so: true from the second call on. By the reactor
  // of the initiator.
  bool MarkStale() { return std::exchange(marked_stale_, true); }
  void ClearStale() { marked_stale_ = false; }

  // The RST that tells `to` that the flow is over.
  VsockHeader ResetTo(Side to) const;

  // Any thread; for a flow with a host end, its reactor.
  FlowInfo Info() const;

 private:
  // What one end has sent: payload, and what it grants to the other.
  struct Sent {
    Counter bytes;
    Counter packets;
    std::atomic<uint32_t> tx_cnt{0};  // payload accepted, modulo 2^32
    std::atomic<uint32_t> buf_alloc{0};
    std::atomic<uint32_t> largest_buf_alloc{0};  // a window that shrinks does not undo what was sent before
    std::atomic<uint32_t> fwd_cnt{0};
    std::atomic<uint32_t> shutdown{0};
    CreditStall stall;
    std::atomic<uint32_t> share{kMaxWindow};
    std::atomic<bool> held{false};
    std::atomic<bool> asked{false};        // the receiver has been asked since its last grant
    std::atomic<bool> told_less{false};    // than was granted, because of `share`
    std::atomic<uint32_t> told_window{0};  // what it was told last (bytes)
    bool inside_message = false;           // SEQPACKET: the last packet had no EOM
    uint32_t epoch = 0;
    UnreadPackets unread;
  };

  // What is counted of the flow in PortStats::connections: at which ends, and in which state, which is never an earlier
  // one than before. One word, so that of several threads each knows what its change replaced.
  struct Tally {
    uint8_t ends = 0;  // EndBit()
    FlowInfo::State state = FlowInfo::State::kConnecting;
    friend bool operator==(const Tally&, const Tally&) = default;
  };
  static uint8_t EndBit(Side side) { return static_cast<uint8_t>(1u << Index(side)); }
  // Counts it for `more_ends`, too, and in `state`, unless it is in a later one. What is counted from now on.
  Tally Recount(uint8_t more_ends, FlowInfo::State state);
  bool IsCountedFor(Side side) const { return (tally_.load(std::memory_order_relaxed).ends & EndBit(side)) != 0; }

  // What `from` has sent and the receiver has not read (bytes); what the receiver lets it see of its window.
  uint32_t UnderWay(Side from) const;
  uint32_t Window(Side from) const;
  // What `from` may still send (bytes).
  uint32_t Room(Side from) const;
  void EndStall(Side from);
  void TellProbeOfStall(Side from, std::chrono::nanoseconds took) const;
  void CountResult(CloseReason result);
  void CountEnd(CloseReason reason);
  void TellProbeOfOpening() const;
  void TellProbeOfEnd(CloseReason reason) const;
  FlowInfo::End DescribeEnd(Side side) const;
  FlowWay way() const { return FlowWayOf(ends_[0].port->cid(), ends_[1].port->cid()); }
  PortStats& stats(Side side) const { return ends_[Index(side)].port->port_stats(); }

  static size_t Index(Side side) { return static_cast<size_t>(side); }
  Verdict AcceptWhileConnecting(const VsockHeader& header, Side from);
  Verdict AcceptPayload(const VsockHeader& header, Side from);
  Verdict AcceptShutdown(const VsockHeader& header, Side from);
  void CountTransient(int change) { ends_[0].port->CountTransient(change); }

  const uint64_t id_;
  const uint16_t type_;
  std::atomic<State> state_{State::kConnecting};
  std::atomic<CloseReason> close_reason_{CloseReason::kNone};
  const std::array<End, 2> ends_;
  std::array<Sent, 2> sent_;
  std::atomic<Tally> tally_{Tally()};
  const std::chrono::system_clock::time_point start_time_;
  const MonotonicTime asked_at_;
  FlowJournal* const journal_;
  HostPeer host_peer_;
  std::atomic<bool> finishing_{false};  // counted in the initiator's transient flows
  bool marked_stale_ = false;
};

// Which way the flow goes, seen from `side`.
inline Direction DirectionOf(Flow::Side side) {
  return side == Flow::Side::kInitiator ? Direction::kOut : Direction::kIn;
}

inline Flow::Side Opposite(Flow::Side side) {
  return side == Flow::Side::kInitiator ? Flow::Side::kTarget : Flow::Side::kInitiator;
}

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_H_
