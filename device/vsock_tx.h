// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VSOCK_TX_H_
#define KINSOCK_DEVICE_VSOCK_TX_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/token_bucket.h"
#include "capture/copy_pool.h"
#include "capture/point.h"
#include "capture/tap.h"
#include "device/control_allowance.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "device/driver_cid.h"
#include "device/guest_readiness.h"
#include "device/ring_share.h"
#include "device/tx_backlog.h"
#include "device/tx_packet.h"
#include "device/virtqueue.h"
#include "device/vmm_event_fd.h"
#include "device/vsock_rx.h"
#include "router/flow_journal.h"
#include "router/port.h"
#include "router/route_table.h"
#include "router/switch.h"

namespace kinsock {

// The transmit side of one guest: takes packets off its transmit queue, decides where they go, and offers them
// to the ports there. Packets for one port form a lane, in order; lanes take turns. A lane whose port has no
// room waits without holding up the others. Its packets keep their place in the guest's ring for a while. When
// such packets take up half of the ring, the guest is given a short rest if their receivers are merely busy, and
// the packets are copied aside if they are not (docs/adr/0002-waiting-packets.md).
//
// Thread: the device's reactor.
class VsockTx final : private Poller {
 public:
  // What a transmit side works with; none is owned, all outlive it.
  struct Environment {
    EventLoop& loop;
    const RouteTable& routes;
    VsockRx* rx;                 // of the same guest: for replies, and the table of its connections
    std::shared_ptr<Port> host;  // null: no host side
    GuestReadiness& readiness;   // hears of what the guest asks of the host
    DeviceStats& stats;
    const DeviceLimits& limits;
    FlowJournal& journal;
    ControlAllowance& allowance;
    DriverCid& driver_cid;
    std::shared_ptr<Wakeup> driver_cid_changed;  // notified when driver_cid.driver() is another
    std::shared_ptr<Wakeup> spent;               // notified when the allowance is: SetPaused() is expected
    std::shared_ptr<Wakeup> broken;              // notified when the ring has to be stopped
    CapturePoint point;                          // where captures see what the guest sends
  };

  explicit VsockTx(Environment environment);
  ~VsockTx();
  VsockTx(const VsockTx&) = delete;
  VsockTx& operator=(const VsockTx&) = delete;

  // The ring is ready: serves it from now on.
  void Start(Virtqueue queue, std::shared_ptr<VmmEventFd> call);
  // Stops serving it. What was taken and not delivered is copied aside and goes on waiting. Returns the entry
  // to go on with.
  uint16_t Stop();
  // Forgets what was taken and not delivered: its driver is gone.
  void DropPackets();
  void SetCall(std::shared_ptr<VmmEventFd> call) { call_ = std::move(call); }
  absl::Status Relocate(std::shared_ptr<const GuestMemory> memory);
  // The driver has added packets. False: there are none.
  bool OnKick();
  // Takes nothing off the ring while paused; what was taken goes on.
  void SetPaused(bool paused);
  // The guest has another address: what was taken under the former one and not delivered is forgotten.
  void SetRx(VsockRx& rx);
  // The guest has a host side from now on.
  void SetHost(std::shared_ptr<Port> host) { env_.host = std::move(host); }
  // The limits of the environment have changed.
  void OnLimits();
  bool broken() const { return broken_ || (queue_.has_value() && queue_->memory().faulted()); }

  // Ends `flow`, of which this guest is one end, and tells both.
  void ResetFlow(const std::shared_ptr<Flow>& flow, CloseReason reason);

 private:
  // A guest rests for a receiver that is busy for this long at most, and only as long as the receiver has earned by
  // what it took before. A slower one would hold up the guest's other traffic for more than it is worth.
  static constexpr std::chrono::milliseconds kMaxPatience{2};

  // Payload that is copied aside while it is under way, because a capture wants to see what is delivered, at most: some
  // windows of one connection. Beyond it packets are captured without their payload (CaptureSession::Lane::cut()).
  static constexpr uint64_t kMaxCapturedBytes = 2u << 20;

  struct TxLane : Lane {
    std::shared_ptr<Port> port;
    bool active = false;                   // in active_
    bool blocked = false;                  // waits for `resume`
    TxPacket* in_ring = nullptr;           // first of the waiting packets whose chain is owed; all behind it are, too
    std::chrono::nanoseconds patience{0};  // how long the guest may rest for this receiver
    size_t held_flows = 0;                 // in held_
    ReceiverTraffic traffic;               // of this epoch
  };

  // A flow whose receiver has left too much unread: its packets wait here, copied, and nobody else's (Flow::Hold).
  struct HeldFlow {
    std::shared_ptr<Flow> flow;
    TxLane* lane = nullptr;
    PacketQueue packets;  // oldest first
  };

  // Poller.
  bool Poll() override;
  bool Rest() override;

  void Run();
  bool MayServeRing();
  bool HeldByReplies();
  bool OverRate();
  bool Fetch();
  bool TakePacket(TxPacket& packet);
  void Dispatch(TxPacket& packet);
  void Capture(CaptureTap& tap, TxPacket& packet);
  bool TakePayloadPrivately(CaptureTap& tap, TxPacket& packet, uint32_t bytes);
  void ForgetPrivatePayload(TxPacket& packet);
  bool Admit(TxPacket& packet, Port& port);
  bool ServeLanes();
  void BeginEpoch();
  void Settle(TxLane& lane);
  void Hold(TxLane& lane, TxPacket& packet);
  enum class Asking : uint8_t { kYes, kNo };
  void OfferHeld(Asking asking);
  void DropHeld(HeldFlow& held);
  void SettleRefused(const TxPacket& packet, Refusal refusal);
  static Refusal RefusalOf(const TxPacket& packet);
  void Account(const TxPacket& packet);
  void Recycle(TxPacket& packet);
  bool MayFetch();
  void StartResting();
  void EndRest();
  void FreeRing(std::chrono::nanoseconds rested);
  void SetAside(TxPacket& packet, TxLane& lane);
  void CountRefused(const TxPacket& packet);
  void CountViolation(CloseReason reason);
  void CountRefusal(Refusal refusal);
  void CountDrop(const Decision& decision);
  void RefuseFormer(TxPacket& packet);
  TxLane& LaneFor(Port& port);
  void Activate(TxLane& lane);
  void ForgetIdleLanes(const TxLane* keep);
  void Publish();

  Environment env_;
  std::optional<Virtqueue> queue_;
  std::shared_ptr<VmmEventFd> call_;
  bool broken_ = false;
  std::shared_ptr<Wakeup> run_;  // "there is work"

  TxPacketPool pool_;
  TxBacklog backlog_;
  absl::flat_hash_map<const Port*, std::unique_ptr<TxLane>> lanes_;
  TxLane* last_lane_ = nullptr;  // what LaneFor() gave last: packets come in runs
  std::vector<TxLane*> active_;  // have packets, are not blocked; in the order of their turns
  std::vector<TxLane*> turn_;    // those whose turn it is

  absl::flat_hash_map<const Flow*, HeldFlow> held_;
  std::shared_ptr<Wakeup> offer_held_;  // "some of held_ may go on"
  bool ask_timer_armed_ = false;
  EventLoop::TimerId ask_timer_{};

  // What the guest may send (DeviceLimits::bytes_from_guest, packets_from_guest).
  bool rated_ = false;  // one of the two is limited
  TokenBucket bytes_;
  TokenBucket packets_;
  bool over_rate_ = false;  // rate_timer_ runs: the ring is left alone until then
  EventLoop::TimerId rate_timer_{};

  uint64_t captured_bytes_ = 0;  // TxPacket::captured of all packets

  bool paused_ = false;
  uint64_t spent_ = 0;  // of the budget of the present Run()

  uint32_t epoch_ = 0;
  MonotonicTime epoch_began_;

  // The guest rests: its ring is not served, although it may hold packets for others.
  bool resting_ = false;
  MonotonicTime rest_began_;
  EventLoop::TimerId rest_timer_{};
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VSOCK_TX_H_
