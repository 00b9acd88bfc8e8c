// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VSOCK_DEVICE_H_
#define KINSOCK_DEVICE_VSOCK_DEVICE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/event_loop.h"
#include "device/control_allowance.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "device/dial.h"
#include "device/driver_cid.h"
#include "device/event_queue.h"
#include "device/forward.h"
#include "device/forward_listener.h"
#include "device/guest_memory.h"
#include "device/guest_readiness.h"
#include "device/host_side.h"
#include "device/hybrid_listener.h"
#include "device/limit_watch.h"
#include "device/listener.h"
#include "device/ring_kick.h"
#include "device/vhost_user_listener.h"
#include "device/vhost_user_session.h"
#include "device/vsock_rx.h"
#include "device/vsock_tx.h"
#include "router/close_reason.h"
#include "router/flow_info.h"
#include "router/flow_journal.h"
#include "router/policy_change.h"
#include "router/route_table.h"

namespace kinsock {

// The vsock device of one VM: the sockets through which the VMM and host programs come, the session with the
// VMM, and the two directions of traffic. It outlives sessions: a VMM that exits brings it back to listening.
//
//   kListening --- first message ---> kConnected --- RX and TX run ---> kActive <---> kSuspended
//       ^                                 |                                |     (rings stopped)
//       +------------- the front-end leaves, or is sent away --------------+
//
// Thread: its reactor's; the port is shared.
class VsockDevice final : private VhostUserDevice {
 public:
  // What a device works with; not owned, outlives it.
  struct Environment {
    EventLoop& loop;
    const RouteTable& routes;  // of the VM's network
    FlowJournal& journal;
    // Called on each change.
    std::function<void(DeviceId, const DeviceStatus&)> on_status;
    // Takes memory whose unmapping may take long.
    std::function<void(std::shared_ptr<const GuestMemory>)> discard;
  };

  // Flows that wait for an answer or for their end are looked at this often, and reset when they are found
  // waiting twice. Linux guests give up by themselves after 2 s and 8 s.
  static constexpr std::chrono::seconds kStaleSearch{10};
  // How long a front-end may take to say that it knows of another CID. Then the driver is told all the same, and may
  // read the former one.
  static constexpr std::chrono::seconds kCidAnswerTimeout{1};
  // How long a VM's front-ends are sent away after one of them has made a reactor wait (VmmEventFd). Each time costs
  // all VMs of that reactor up to twice Heartbeat's kLongestWait, so one in a minute is what it may cost them.
  static constexpr std::chrono::seconds kHeldPenalty{60};

  VsockDevice(DeviceSpec spec, Environment environment);
  // Resets every peer.
  ~VsockDevice();

  // Begins to listen.
  absl::Status Start();

  // No connection begins any more, in either direction, whatever session comes and goes; those that exist may go on.
  // Status: kDraining, then kDrained when none is left.
  void Drain();
  // They may begin again.
  void EndDrain();
  // The quota is another (DeviceLimits); the allowance stays what it is.
  void SetLimits(const DeviceLimits& limits);
  // Another source says whether the guest is ready.
  void SetReadiness(const Readiness& readiness);

  // Ends all connections, and tells both ends of each.
  void ResetFlows(CloseReason reason);
  // The same for the connections that a change of the network's policies revokes, of those for which this device
  // answers (Flows).
  void ResetRevoked(const PolicyChange& change);

  // The guest has another address from now on, and a port of its own for it, which is returned: nobody routes to the
  // former one any more, and this reactor will route to the new one before anything else. All connections end, and
  // both ends of each are told. The front-end is told that the configuration is another, then the driver as by
  // ResetTransport(). How far it has come by that: DeviceStatus::driver_cid.
  std::shared_ptr<Port> ChangeCid(Cid cid);

  // Ends all connections, and has the guest's driver forget them and read its CID anew, if the VMM has handed the event
  // queue over.
  void ResetTransport();

  // --- Forwards (forward.h); they go with the device. ---

  // `listener`: for kToGuest, a listening stream socket, non-blocking. Its id is in use by no other, nor is, for
  // kFromGuest, its port.
  absl::Status AddForward(std::shared_ptr<Forward> forward, UniqueFd listener);
  // From now on connections go to this port of the guest, or to `host`, with or without a header; where it listens
  // stays. For kFromGuest, the port is in use by no other.
  void ChangeForward(ForwardId id, uint32_t guest_port, const HostEndpoint& host, bool proxy_header);
  // Listens or leads no more. `reset`: the connections that go through it end too.
  void RemoveForward(ForwardId id, bool reset);

  // Connects `socket` to a port of the guest (HostSide::Connect), which `dial` hears of.
  void Connect(UniqueFd socket, const std::shared_ptr<Dial>& dial);

  // What the other devices deliver to.
  std::shared_ptr<Port> port() const { return rx_; }
  DeviceId id() const { return spec_.id; }
  Cid cid() const { return spec_.cid; }

  // The connections that this device answers for: those its guest initiated, and those with the host.
  std::vector<std::shared_ptr<Flow>> Flows() const;
  // Of one of them.
  FlowInfo Describe(const Flow& flow) const;

  // Resets the connection `id` for both its ends, if this device answers for it. What the host end still had to write
  // is dropped. False: it is none of this device's open ones.
  bool ResetFlow(uint64_t id, CloseReason reason);

 private:
  // VhostUserDevice.
  absl::Status StartRing(size_t index, const RingSetup& setup, uint64_t features,
                         std::shared_ptr<const GuestMemory> memory) override;
  uint16_t StopRing(size_t index) override;
  void SetCall(size_t index, std::shared_ptr<VmmEventFd> call) override;
  absl::Status MoveMemory(std::shared_ptr<const GuestMemory> memory) override;
  void ResetDevice() override;
  void Discard(std::shared_ptr<const GuestMemory> memory) override;
  void OnSessionChanged() override;
  void OnCidRead() override;
  void OnCidTold() override;
  bool OnMessage(const absl::Status& status) override;

  bool AnswersFor(const Flow& flow) const;
  void MakeHostSide();
  void NeedHostSide();
  absl::Status StartHostSide();
  bool IsAttached() const { return status_.state == DeviceState::kActive || status_.state == DeviceState::kSuspended; }
  void OnForwarded(UniqueFd program, const std::shared_ptr<Forward>& forward);
  void OnFrontEnd(UniqueFd connection);
  void OnSessionEnded(absl::Status status);
  void AfterSession(absl::Status status);
  void ForgetDriver();
  void EndFlows();
  std::shared_ptr<VsockRx> MakeRx();
  void TellDriver();
  void NoteIfTold();
  void ReportDriverCid();
  void OnKick(size_t index);
  void Charge(int64_t cost);
  void PauseGuest();
  void ResumeGuest();
  void AwaitRate();
  void CheckRings();
  void OnHeld();
  void ArmStaleSearch();
  void SearchStaleFlows();
  void UpdateState();
  void SetDrain(DrainState drain);
  void SetFault(DeviceFault fault, std::string text = {});
  void SetState(DeviceState state);
  void ReportStatus();

  DeviceSpec spec_;
  Environment env_;
  std::shared_ptr<DeviceStats> stats_;
  std::shared_ptr<Wakeup> broken_;
  std::shared_ptr<Wakeup> drained_;
  std::shared_ptr<Wakeup> held_;  // a front-end made a reactor wait
  MonotonicTime refused_until_;   // no front-end before
  ControlAllowance allowance_;
  std::shared_ptr<Wakeup> spent_;  // allowance_ is
  LimitWatch limit_watch_;
  std::shared_ptr<Wakeup> over_rate_;  // payload for the guest waits for its rate
  bool awaiting_rate_ = false;
  EventLoop::TimerId rate_timer_{};
  DriverCid driver_cid_;
  std::shared_ptr<Wakeup> driver_cid_changed_;
  bool awaiting_cid_told_ = false;  // then the driver is told
  EventLoop::TimerId cid_told_timer_{};
  std::shared_ptr<VsockRx> rx_;
  GuestReadiness readiness_;
  std::shared_ptr<HostSide> host_;  // null: no host side yet
  std::optional<VsockTx> tx_;
  EventQueue events_;
  std::optional<VhostUserListener> front_ends_;
  std::optional<HybridListener> host_programs_;
  std::list<ForwardListener> forwards_;
  struct PortForward {
    std::shared_ptr<Forward> forward;
    std::unique_ptr<Listener> listener;  // kToGuest
  };
  absl::flat_hash_map<ForwardId, PortForward> port_forwards_;
  std::unique_ptr<VhostUserSession> session_;
  std::unique_ptr<VhostUserSession> ended_session_;  // until its last event has been handled
  std::shared_ptr<Wakeup> reap_session_;

  struct Ring {
    std::unique_ptr<RingKick> kick;
    bool made_up_for = false;  // the next kick is one that Resume() makes up for
    bool running = false;
    bool was_used = false;    // by the driver that is there now
    uint16_t next_avail = 0;  // where it was stopped last
  };
  std::array<Ring, VhostUserSession::kRings> rings_;

  DeviceStatus status_;
  // The guest and its VMM are left alone: allowance_ was spent.
  bool paused_ = false;
  EventLoop::TimerId pause_{};

  bool stale_search_armed_ = false;
  EventLoop::TimerId stale_search_{};
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VSOCK_DEVICE_H_
