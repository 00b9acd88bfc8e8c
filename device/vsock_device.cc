// SPDX-License-Identifier: Apache-2.0
#include "device/vsock_device.h"

#include <sys/socket.h>

#include <utility>

#include "base/status_macros.h"

namespace kinsock {
namespace {

// virtio 1.3, 5.10.2: virtqueues.
constexpr size_t kReceive = 0;
constexpr size_t kTransmit = 1;
constexpr size_t kEvent = 2;

}  // namespace

VsockDevice::VsockDevice(DeviceSpec spec, Environment environment)
    : spec_(std::move(spec)),
      env_(std::move(environment)),
      stats_(spec_.stats),
      broken_(Wakeup::Create(env_.loop, [this] { CheckRings(); })),
      drained_(Wakeup::Create(env_.loop,
                              [this] {
                                // It may be late, after the drain was ended.
                                if (rx_->draining()) SetDrain(DrainState::kDrained);
                              })),
      held_(Wakeup::Create(env_.loop, [this] { OnHeld(); })),
      allowance_(spec_.limits.control_per_second, spec_.limits.control_burst),
      spent_(Wakeup::Create(env_.loop, [this] { PauseGuest(); })),
      limit_watch_(env_.loop, *stats_,
                   [this](QuotaLimit limited, bool flooding) {
                     status_.limited = limited;
                     status_.flooding = flooding;
                     ReportStatus();
                   }),
      over_rate_(Wakeup::Create(env_.loop, [this] { AwaitRate(); })),
      driver_cid_(spec_.cid, spec_.former_cid),
      driver_cid_changed_(Wakeup::Create(env_.loop, [this] { ReportDriverCid(); })),
      rx_(MakeRx()),
      readiness_(spec_.readiness,
                 GuestReadiness::Environment{
                     .loop = env_.loop,
                     .stats = *stats_,
                     .cid = spec_.cid,
                     .send = [this](const VsockHeader& header,
                                    const std::shared_ptr<Wakeup>& resume) { return rx_->TrySend(header, resume); },
                     .is_draining = [this] { return rx_->draining(); },
                     .on_change = [this] { ReportStatus(); }}),
      reap_session_(Wakeup::Create(env_.loop, [this] { ended_session_.reset(); })) {
  const bool has_readiness = spec_.readiness.source != Readiness::Source::kNone;
  if (spec_.host.kind != HostAddress::Kind::kNone || has_readiness) MakeHostSide();
  tx_.emplace(VsockTx::Environment{
      .loop = env_.loop,
      .routes = env_.routes,
      .rx = rx_.get(),
      .host = host_,
      .readiness = readiness_,
      .stats = *stats_,
      .limits = spec_.limits,
      .journal = env_.journal,
      .allowance = allowance_,
      .driver_cid = driver_cid_,
      .driver_cid_changed = driver_cid_changed_,
      .spent = spent_,
      .broken = broken_,
      .point = {.device = spec_.id, .network = spec_.network, .direction = CaptureDirection::kFromGuest}});
}

VsockDevice::~VsockDevice() {
  broken_->Disarm();
  drained_->Disarm();
  held_->Disarm();
  spent_->Disarm();
  driver_cid_changed_->Disarm();
  if (awaiting_cid_told_) env_.loop.Cancel(cid_told_timer_);
  if (paused_) env_.loop.Cancel(pause_);
  over_rate_->Disarm();
  if (awaiting_rate_) env_.loop.Cancel(rate_timer_);
  reap_session_->Disarm();
  if (stale_search_armed_) env_.loop.Cancel(stale_search_);
  ended_session_.reset();
  session_.reset();  // stops the rings
  ResetDevice();
  if (host_ != nullptr) host_->Close();
}

absl::Status VsockDevice::Start() {
  front_ends_.emplace(env_.loop, std::move(spec_.vhost_user_listener),
                      [this](UniqueFd connection) { OnFrontEnd(std::move(connection)); });
  KINSOCK_RETURN_IF_ERROR(front_ends_->Start());
  if (host_ != nullptr) KINSOCK_RETURN_IF_ERROR(StartHostSide());
  ReportStatus();
  return absl::OkStatus();
}

// --- Front-ends ---

void VsockDevice::OnFrontEnd(UniqueFd connection) {
  // One that has hung up is over, even if its last messages have not been read yet.
  if (session_ != nullptr && session_->HungUp()) {
    session_.reset();
    AfterSession(absl::OkStatus());
  }
  if (session_ != nullptr) {  // one at a time; this one sees end of file
    stats_->front_end_errors.Add();
    return;
  }
  if (env_.loop.now() < refused_until_) {
    stats_->front_end_errors.Add();
    return;
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  status_.front_end = FrontEndInfo{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
  status_.front_end.since = std::chrono::system_clock::now();
  status_.last_error.clear();
  SetFault(DeviceFault::kNone);
  driver_cid_.OnSession();
  stats_->front_end_connects.Add();

  session_ = std::make_unique<VhostUserSession>(env_.loop, VhostUserChannel(std::move(connection)),
                                                VhostUserSession::Options{.max_ring_size = spec_.queue_size,
                                                                          .guest_cid = spec_.cid,
                                                                          .offer_seqpacket = spec_.seqpacket,
                                                                          .on_held = held_},
                                                static_cast<VhostUserDevice&>(*this),
                                                [this](absl::Status status) { OnSessionEnded(std::move(status)); });
  if (absl::Status started = session_->Start(); !started.ok()) return OnSessionEnded(std::move(started));
  SetState(DeviceState::kConnected);
  Charge(ControlAllowance::kMessage);
  if (paused_) session_->Pause();
}

void VsockDevice::OnSessionEnded(absl::Status status) {
  ended_session_ = std::move(session_);  // it is the caller
  reap_session_->Notify();
  AfterSession(std::move(status));
}

// The front-end cleared O_NONBLOCK of an eventfd that it shares with us, and filled it: no accident.
void VsockDevice::OnHeld() {
  refused_until_ = env_.loop.now() + kHeldPenalty;
  if (session_ == nullptr) return;
  session_.reset();
  AfterSession(absl::PermissionDeniedError(
      "the VMM made the back-end wait for one of its eventfds: its sessions are refused for a minute"));
}

void VsockDevice::AfterSession(absl::Status status) {
  if (!status.ok()) stats_->front_end_errors.Add();
  status_.last_error = std::string(status.message());  // what the guest did is over with it
  SetFault(DeviceFault::kNone);
  OnCidTold();  // nobody else will
  ResetDevice();
  SetState(DeviceState::kListening);
}

// Rings and driver are gone.
void VsockDevice::ResetDevice() {
  for (size_t index = 0; index < rings_.size(); ++index) StopRing(index);
  if (auto memory = rx_->Close()) Discard(std::move(memory));
  ForgetDriver();
}

// The driver that was there is gone: its packets, its connections, its place in the rings.
void VsockDevice::ForgetDriver() {
  for (Ring& ring : rings_) ring.was_used = false;
  events_.Forget();
  driver_cid_.OnDriverGone();
  tx_->DropPackets();
  readiness_.Forget();
  EndFlows();
}

// --- Rings ---

absl::Status VsockDevice::StartRing(size_t index, const RingSetup& setup, uint64_t features,
                                    std::shared_ptr<const GuestMemory> memory) {
  Ring& ring = rings_[index];
  // A driver that continues goes on where its ring was stopped. Any other entry: it was loaded anew, and knows
  // nothing of the connections there were.
  if (ring.was_used && setup.layout.base != ring.next_avail) ForgetDriver();

  KINSOCK_ASSIGN_OR_RETURN(Virtqueue queue, Virtqueue::Create(setup.layout, std::move(memory)));
  auto kick = std::make_unique<RingKick>(env_.loop, setup.kick.get(), [this, index] { OnKick(index); });
  KINSOCK_RETURN_IF_ERROR(kick->Start());
  if (paused_) kick->Pause();
  ring.kick = std::move(kick);
  rx_->set_takes_seqpacket((features & kVirtioVsockFSeqpacket) != 0);
  // A receive ring that was never used does not tell whether its driver is another one.
  if (!ring.was_used || (index == kReceive && setup.layout.base == 0)) driver_cid_.OnDriver();
  ring.was_used = true;
  ring.running = true;
  if (index == kReceive) {
    rx_->Start(ReceiveRing(std::move(queue), setup.call, *stats_,
                           {.device = spec_.id, .network = spec_.network, .direction = CaptureDirection::kToGuest}));
  }
  if (index == kTransmit) tx_->Start(std::move(queue), setup.call);
  if (index == kEvent) {
    events_.Start(std::move(queue), setup.call);
    NoteIfTold();
  }
  status_.front_end.features = features;
  UpdateState();
  return absl::OkStatus();
}

uint16_t VsockDevice::StopRing(size_t index) {
  Ring& ring = rings_[index];
  if (!std::exchange(ring.running, false)) return ring.next_avail;
  ring.kick.reset();
  if (index == kReceive) {
    if (auto memory = rx_->Stop(ring.next_avail)) Discard(std::move(memory));
  } else if (index == kTransmit) {
    ring.next_avail = tx_->Stop();
  } else {
    std::shared_ptr<const GuestMemory> memory;
    ring.next_avail = events_.Stop(memory);
    if (memory != nullptr) Discard(std::move(memory));
  }
  UpdateState();
  return ring.next_avail;
}

void VsockDevice::OnKick(size_t index) {
  const bool useful = index == kReceive ? rx_->OnKick() : index == kTransmit ? tx_->OnKick() : events_.OnKick();
  if (index == kEvent) NoteIfTold();
  if (events_.broken()) broken_->Notify();
  if (!std::exchange(rings_[index].made_up_for, false) && !useful) Charge(ControlAllowance::kKick);
  ArmStaleSearch();
}

void VsockDevice::Charge(int64_t cost) {
  allowance_.Charge(cost);
  if (!allowance_.spent()) return;
  allowance_.Refill(env_.loop.now(), rx_->earned());
  if (allowance_.spent()) spent_->Notify();
}

// Neither its kicks nor its VMM's messages are looked at for a moment. What others send to it arrives.
void VsockDevice::PauseGuest() {
  if (std::exchange(paused_, true)) return;
  stats_->from_guest_limited_control.Add();
  limit_watch_.hit()->Notify();
  for (Ring& ring : rings_) {
    if (ring.kick != nullptr) ring.kick->Pause();
  }
  if (session_ != nullptr) session_->Pause();
  tx_->SetPaused(true);
  pause_ = env_.loop.RunAfter(ControlAllowance::kPause, [this] { ResumeGuest(); });
}

void VsockDevice::ResumeGuest() {
  paused_ = false;
  if (session_ != nullptr) session_->Resume();
  for (Ring& ring : rings_) {
    if (ring.kick == nullptr) continue;
    ring.kick->Resume();
    ring.made_up_for = true;
  }
  tx_->SetPaused(false);
}

// Payload for the guest waits, wherever it is, until this says that there is room in the rate.
void VsockDevice::AwaitRate() {
  if (std::exchange(awaiting_rate_, true)) return;
  rate_timer_ = env_.loop.RunAfter(rx_->TimeToRefill(), [this] {
    awaiting_rate_ = false;
    rx_->Refill();
  });
}

void VsockDevice::SetLimits(const DeviceLimits& limits) {
  const uint32_t control_per_second = spec_.limits.control_per_second;
  const uint32_t control_burst = spec_.limits.control_burst;
  spec_.limits = limits;
  spec_.limits.control_per_second = control_per_second;
  spec_.limits.control_burst = control_burst;
  rx_->SetLimits(limits);
  if (host_ != nullptr) host_->set_max_buffered_bytes(limits.max_buffered_bytes);
  tx_->OnLimits();
}

void VsockDevice::SetReadiness(const Readiness& readiness) {
  if (host_ == nullptr && readiness.source != Readiness::Source::kNone) {
    MakeHostSide();
    tx_->SetHost(host_);
  }
  readiness_.SetSource(readiness);
  ReportStatus();
}

void VsockDevice::SetCall(size_t index, std::shared_ptr<VmmEventFd> call) {
  if (index == kReceive) rx_->SetCall(call);
  if (index == kTransmit) tx_->SetCall(call);
  if (index == kEvent) events_.SetCall(std::move(call));
}

absl::Status VsockDevice::MoveMemory(std::shared_ptr<const GuestMemory> memory) {
  KINSOCK_RETURN_IF_ERROR(tx_->Relocate(memory));
  KINSOCK_RETURN_IF_ERROR(events_.Relocate(memory));
  return rx_->Relocate(std::move(memory));
}

void VsockDevice::Discard(std::shared_ptr<const GuestMemory> memory) { env_.discard(std::move(memory)); }

// A ring that makes no sense, or whose memory went away, is served no more until the front-end sets it up
// anew. The guest's connections end; everything else goes on.
void VsockDevice::CheckRings() {
  if (!tx_->broken() && !rx_->broken() && !events_.broken()) return;
  stats_->broken_rings.Add();
  if (session_ != nullptr) session_->SignalRingErrors();
  status_.last_error = "the guest's rings or memory made no sense: the device is stopped until it is reset";
  ResetDevice();
  SetFault(DeviceFault::kRings);
  status_.state = DeviceState::kConnected;
  readiness_.SetRunning(false);
  ReportStatus();
}

// --- Status ---

bool VsockDevice::OnMessage(const absl::Status& status) {
  stats_->front_end_messages.Add();
  if (!status.ok()) {
    stats_->front_end_refused_messages.Add();
    // The first one: what follows may follow from it, and is not told each time.
    if (status_.fault == DeviceFault::kNone && session_ != nullptr) {
      SetFault(DeviceFault::kMessage, std::string(status.message()));
      ReportStatus();
    }
  }
  Charge(ControlAllowance::kMessage);
  return !allowance_.spent();
}

void VsockDevice::OnSessionChanged() {
  if (session_ == nullptr) return;
  status_.front_end.features = session_->features();
  status_.front_end.protocol_features = session_->protocol_features();
  status_.front_end.memory_regions = static_cast<uint32_t>(session_->memory_regions());
}

void VsockDevice::UpdateState() {
  if (session_ == nullptr) return;
  if (rings_[kReceive].running && rings_[kTransmit].running) return SetState(DeviceState::kActive);
  if (status_.state == DeviceState::kActive) SetState(DeviceState::kSuspended);
}

void VsockDevice::SetFault(DeviceFault fault, std::string text) {
  status_.fault = fault;
  status_.fault_text = std::move(text);
}

void VsockDevice::SetDrain(DrainState drain) {
  if (status_.drain == drain) return;
  status_.drain = drain;
  ReportStatus();
}

void VsockDevice::SetState(DeviceState state) {
  if (status_.state == state) return;
  status_.state = state;
  if (state == DeviceState::kActive) SetFault(DeviceFault::kNone);
  readiness_.SetRunning(state == DeviceState::kActive);
  ReportStatus();
}

void VsockDevice::ReportStatus() {
  status_.driver_cid = driver_cid_.driver();
  status_.readiness = readiness_.source();
  status_.guest = readiness_.word();
  status_.guest_text = readiness_.text();
  env_.on_status(spec_.id, status_);
}

}  // namespace kinsock
