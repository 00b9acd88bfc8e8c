// SPDX-License-Identifier: Apache-2.0
#include "device/host_side.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "device/host_vsock.h"
#include "router/logged_flow.h"

namespace kinsock {
namespace {

constexpr uint32_t kPacketCost = 256;  // of a batch's budget, besides the payload

// Host ports tried before a host program is refused: the guest itself uses the others towards the host.
constexpr int kPortAttempts = 8;

int SocketType(uint16_t vsock_type) { return vsock_type == VIRTIO_VSOCK_TYPE_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM; }

void Settle(Packet& packet, Packet::Outcome outcome, CloseReason reason = CloseReason::kNone) {
  packet.outcome = outcome;
  packet.reason = reason;
}

}  // namespace

HostSide::HostSide(DeviceId device, Environment environment)
    : Port(device, kHostCid, environment.limits.max_buffered_bytes, environment.port_stats),
      env_(std::move(environment)),
      resume_(Wakeup::Create(env_.loop, [this] { OnBuffers(); })),
      reap_(Wakeup::Create(env_.loop, [this] { dead_.clear(); })) {}

HostSide::~HostSide() {
  resume_->Disarm();
  reap_->Disarm();
}

// Sockets hold flows, and flows hold this: it has to be taken apart while somebody else holds it too.
void HostSide::Close() {
  while (!sockets_.empty()) End(*sockets_.begin()->second, CloseReason::kPeerGone);
  // However its flow has ended: not all of it is with the host program.
  for (const auto& [socket, owned] : lingering_) socket->TellDialEnded(CloseReason::kPeerGone);
  lingering_.clear();
  dead_.clear();
}

// --- From the guest ---

Port::Progress HostSide::Deliver(Lane& lane, uint32_t budget) {
  Progress progress = Progress::kDrained;
  while (Packet* packet = lane.waiting.front()) {
    if (budget == 0) {
      progress = Progress::kBudget;
      break;
    }
    budget -= std::min(budget, packet->header.len + kPacketCost);
    if (packet->outcome == Packet::Outcome::kWaiting) Take(*packet);
    lane.done.PushBack(lane.waiting.PopFront());
  }
  // The packets go back to the guest when this returns.
  if (HostSocket* socket = std::exchange(gathering_, nullptr)) socket->FlushGathered();
  return progress;
}

void HostSide::Take(Packet& packet) {
  const VsockHeader& header = packet.header;
  if (header.op == VIRTIO_VSOCK_OP_REQUEST) return TakeRequest(packet);
  HostSocket* socket = Find(header.src_port, header.dst_port);
  if (socket == nullptr) return TakeStray(packet);
  const std::shared_ptr<Flow> flow = socket->flow();
  switch (flow->Accept(header, Opposite(socket->host_end()))) {
    case Flow::Verdict::kForward:
      Settle(packet, Packet::Outcome::kDelivered);
      return TakeAccepted(*socket, packet);
    case Flow::Verdict::kForwardAndClose:
      packet.flow = flow;
      Settle(packet, Packet::Outcome::kClosed);
      return Discard(*socket);
    case Flow::Verdict::kViolation:
      return EndFor(packet, *socket, CloseReason::kMalformed);
    case Flow::Verdict::kOverCredit:
      return EndFor(packet, *socket, CloseReason::kCreditViolation);
    case Flow::Verdict::kIgnore:
    case Flow::Verdict::kOver:
      return Settle(packet, Packet::Outcome::kDropped);
  }
}

// It belongs to no connection.
void HostSide::TakeStray(Packet& packet) {
  const GuestReadiness::Answer answer = env_.readiness.OnStray(packet.header);
  if (answer == GuestReadiness::Answer::kDone) return Settle(packet, Packet::Outcome::kDelivered);
  const bool is_reset = packet.header.op == VIRTIO_VSOCK_OP_RST;
  Settle(packet, is_reset ? Packet::Outcome::kDropped : Packet::Outcome::kRefused);
}

// Ends the flow because of what the guest sent, which is told when its transmit side settles the packet.
void HostSide::EndFor(Packet& packet, HostSocket& socket, CloseReason reason) {
  packet.flow = socket.flow();
  packet.flow->Close(reason);
  Settle(packet, Packet::Outcome::kRefused, reason);
  Discard(socket);
}

void HostSide::TakeAccepted(HostSocket& socket, Packet& packet) {
  switch (packet.header.op) {
    case VIRTIO_VSOCK_OP_RW:
      if (gathering_ != &socket) {
        if (gathering_ != nullptr) gathering_->FlushGathered();
        gathering_ = &socket;
      }
      socket.flow()->CountDelivered(Opposite(socket.host_end()), packet.header.len);
      socket.Gather(packet.payload, EndsMessage(packet.header));
      return socket.OnCredit(packet.header);
    case VIRTIO_VSOCK_OP_RESPONSE:
      return socket.OnResponse(packet.header);
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      socket.OnCredit(packet.header);
      return socket.OnGuestShutdown();
    default:
      return socket.OnCredit(packet.header);
  }
}

void HostSide::TakeRequest(Packet& packet) {
  env_.readiness.OnRequest(packet.header.dst_port);
  std::shared_ptr<Forward> via = ForwardOf(packet.header.dst_port);
  const auto refuse = [&](CloseReason reason) {
    CountRefused(reason, via.get());
    Settle(packet, Packet::Outcome::kRefused, reason);
  };
  if (via != nullptr) env_.stats.forward_connects.Add();
  if (via != nullptr && !via->Begin()) return refuse(CloseReason::kQuota);
  HostConnection connection = Reach(packet.header.dst_port, packet.header.type, via.get());
  if (connection.status == HostConnection::Status::kRefused) return refuse(CloseReason::kNoListener);
  if (connection.status == HostConnection::Status::kForbidden) return refuse(CloseReason::kPolicyDenied);
  HostSocket& socket = Add(packet.flow, Flow::Side::kTarget, UniqueFd(), std::move(via));
  Settle(packet, Packet::Outcome::kDelivered);
  socket.OnCredit(packet.header);
  if (connection.status == HostConnection::Status::kBusy) {
    RetryConnect(socket, env_.loop.now() + kBusyTimeout);
  } else {
    Continue(socket, std::move(connection));
  }
}

// The host program that listens for `port`, unless a forward leads elsewhere, or it is the daemon that does.
HostConnection HostSide::Reach(uint32_t port, uint16_t type, const Forward* via) {
  if (env_.readiness.ListensOn(port)) return env_.readiness.Accept(SocketType(type));
  if (via == nullptr) return ConnectHost(env_.address, port, SocketType(type));
  return type == VIRTIO_VSOCK_TYPE_STREAM ? ConnectEndpoint(via->host) : HostConnection();
}

// The host program has been reached, or the kernel is about to find out.
void HostSide::Continue(HostSocket& socket, HostConnection connection) {
  if (connection.status == HostConnection::Status::kConnecting) {
    StartConnectTimer(socket);
    return socket.AwaitConnect(std::move(connection.socket));
  }
  socket.Attach(std::move(connection.socket));
  socket.OnBuffers();
}

void HostSide::StartConnectTimer(HostSocket& socket) {
  socket.timer_armed = true;
  socket.timer = env_.loop.RunAfter(kConnectTimeout, [this, &socket] {
    socket.timer_armed = false;
    env_.stats.timed_out_flows.Add();
    End(socket, CloseReason::kConnectTimeout);
  });
}

void HostSide::OnConnectOutcome(HostSocket& socket, int error) {
  if (error == ETIMEDOUT) return End(socket, CloseReason::kConnectTimeout);
  if (error != 0 || socket.IsConnectedToItself()) return End(socket, CloseReason::kNoListener);
  CancelTimer(socket);
  socket.Attach(UniqueFd());
  socket.OnBuffers();
}

// The host program is there but has not accepted its earlier callers yet.
void HostSide::RetryConnect(HostSocket& socket, MonotonicTime deadline) {
  socket.timer_armed = true;
  socket.timer = env_.loop.RunAfter(kBusyRetry, [this, &socket, deadline] {
    socket.timer_armed = false;
    HostConnection connection = Reach(socket.host_port(), socket.flow()->type(), socket.via());
    if (connection.socket.valid()) return Continue(socket, std::move(connection));
    const bool try_again = connection.status == HostConnection::Status::kBusy && env_.loop.now() < deadline;
    try_again ? RetryConnect(socket, deadline) : End(socket, CloseReason::kNoListener);
  });
}

// --- From host programs ---

void HostSide::Connect(UniqueFd program, const std::shared_ptr<Forward>& via) {
  PrepareForwardedSocket(program.get());
  env_.stats.forward_connects.Add();
  if (via->Begin()) return Connect(std::move(program), via->guest_port, via, nullptr);
  CountRefused(via->guest_port, CloseReason::kQuota, via.get());
  ResetOnClose(program.get());
}

void HostSide::Connect(UniqueFd program, uint32_t guest_port, const std::shared_ptr<Forward>& via,
                       const std::shared_ptr<Dial>& dial) {
  const auto refuse = [&](CloseReason reason) {
    CountRefused(guest_port, reason, via.get());
    if (via != nullptr) ResetOnClose(program.get());
    if (dial != nullptr) dial->OnEnded(reason, DeniedBy(guest_port, reason));
  };
  if (env_.rx->draining()) return refuse(CloseReason::kDrain);
  if (!env_.routes.MayConnect(kHostCid, env_.rx->cid(), guest_port)) return refuse(CloseReason::kPolicyDenied);
  if (transient_flows() >= static_cast<int>(env_.limits.max_pending_connections)) {
    env_.stats.from_guest_limited_pending_connections.Add();
    NoteLimited();
    return refuse(CloseReason::kQuota);
  }
  VsockHeader request{.src_cid = kHostCid, .dst_cid = env_.rx->cid(), .dst_port = guest_port};
  request.op = VIRTIO_VSOCK_OP_REQUEST;
  request.buf_alloc = env_.window;
  Cid program_cid = 0;
  uint32_t program_port = 0;
  if (via == nullptr && dial == nullptr && env_.address.kind == HostAddress::Kind::kVsock)
    VsockPeer(program.get(), program_cid, program_port);
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    request.src_port = TakePort(std::exchange(program_port, 0));
    auto flow = std::make_shared<Flow>(env_.journal.NextId(), request, Flow::End{shared_from_this(), request.src_port},
                                       Flow::End{env_.rx->shared_from_this(), guest_port}, &env_.journal);
    const VsockRx::AdmitResult admitted = env_.rx->Admit(flow);
    if (admitted == VsockRx::AdmitResult::kAdmitted) {
      TellIfLogged(*flow, env_.routes, env_.journal);
      HostSocket& socket = Add(std::move(flow), Flow::Side::kInitiator, std::move(program), via);
      if (dial != nullptr) socket.SetDial(dial);
      StartConnectTimer(socket);
      return socket.SendRequest();
    }
    flow->Close(CloseReason::kQuota);
    ports_.Release(request.src_port);
    if (admitted == VsockRx::AdmitResult::kTooOften) {
      env_.stats.from_guest_limited_connects.Add();
      NoteLimited();
      return refuse(CloseReason::kQuota);
    }
    if (admitted == VsockRx::AdmitResult::kFull) break;
  }
  env_.stats.from_guest_limited_connections.Add();
  NoteLimited();
  refuse(CloseReason::kQuota);
}

// A program that got no flow, which would count its own end, and tell the journal.
void HostSide::CountRefused(uint32_t guest_port, CloseReason reason, Forward* via) {
  CountRefused(reason, via);
  env_.rx->port_stats().CountConnect(Direction::kIn, reason);
  env_.journal.Refused({.device = device(), .cid = kHostCid},
                       {.device = device(), .cid = env_.rx->cid(), .port = guest_port}, VIRTIO_VSOCK_TYPE_STREAM,
                       reason, DeniedBy(guest_port, reason));
}

std::shared_ptr<const Policy> HostSide::DeniedBy(uint32_t guest_port, CloseReason reason) const {
  if (reason != CloseReason::kPolicyDenied) return nullptr;
  return env_.routes.DeniedBy(kHostCid, env_.rx->cid(), guest_port);
}

void HostSide::CountRefused(CloseReason reason, Forward* via) {
  if (via == nullptr) return;
  env_.stats.forward_refused.Add();
  via->CountRefused(reason);
}

// --- Forwards ---

std::shared_ptr<Forward> HostSide::ForwardOf(uint32_t host_port) const {
  if (env_.readiness.ListensOn(host_port)) return nullptr;
  const auto found = forwards_.find(host_port);
  return found == forwards_.end() ? nullptr : found->second;
}

void HostSide::AddForward(const std::shared_ptr<Forward>& forward) { forwards_[forward->guest_port] = forward; }

void HostSide::RemoveForward(const Forward& forward) {
  const auto found = forwards_.find(forward.guest_port);
  if (found != forwards_.end() && found->second->id == forward.id) forwards_.erase(found);
}

void HostSide::ResetThrough(const Forward& forward) {
  std::vector<HostSocket*> through;
  for (const auto& [key, socket] : sockets_) {
    if (socket->via() != nullptr && socket->via()->id == forward.id) through.push_back(socket.get());
  }
  for (HostSocket* socket : through) End(*socket, CloseReason::kAdminReset);
}

// The port by which the guest knows a host program: that which it has in AF_VSOCK, if no other has it here.
uint32_t HostSide::TakePort(uint32_t wanted) { return wanted != 0 && ports_.TakeThis(wanted) ? wanted : ports_.Take(); }

// --- Sockets ---

HostSocket* HostSide::Find(uint32_t guest_port, uint32_t host_port) const {
  const auto it = sockets_.find(Key(guest_port, host_port));
  return it == sockets_.end() ? nullptr : it->second.get();
}

HostSocket& HostSide::Add(std::shared_ptr<Flow> flow, Flow::Side host_end, UniqueFd socket,
                          std::shared_ptr<Forward> via) {
  std::unique_ptr<HostSocket> added;
  if (via != nullptr) via->CountOpen(1);
  if (flow->type() == VIRTIO_VSOCK_TYPE_SEQPACKET) {
    added = std::make_unique<HostMessageSocket>(*this, std::move(flow), host_end, std::move(socket), std::move(via));
  } else {
    added = std::make_unique<HostSocket>(*this, std::move(flow), host_end, std::move(socket), std::move(via));
  }
  HostSocket& result = *added;
  sockets_[Key(result.guest_port(), result.host_port())] = std::move(added);
  return result;
}

void HostSide::End(HostSocket& socket, CloseReason reason) {
  const std::shared_ptr<Flow> flow = socket.flow();
  if (flow->Close(reason)) env_.rx->ResetFlow(flow);
  Discard(socket);
}

void HostSide::ResetFlow(const std::shared_ptr<Flow>& flow) {
  const Flow::Side host_end = flow->SideOf(*this);
  HostSocket* socket = Find(flow->other_end(host_end).vsock_port, flow->end(host_end).vsock_port);
  if (socket != nullptr && socket->flow() == flow) Discard(*socket);
}

// The flow is closed: the socket goes too, or stays until its backlog is written.
void HostSide::Discard(HostSocket& socket) {
  const auto it = sockets_.find(Key(socket.guest_port(), socket.host_port()));
  if (it == sockets_.end() || it->second.get() != &socket) return;
  std::unique_ptr<HostSocket> owned = std::move(it->second);
  sockets_.erase(it);
  CancelTimer(socket);
  if (socket.host_end() == Flow::Side::kInitiator) ports_.Release(socket.host_port());
  std::erase(starved_, &socket);
  if (gathering_ == &socket) gathering_ = nullptr;
  const CloseReason reason = socket.flow()->close_reason();
  if (Forward* via = socket.via()) {
    via->CountOpen(-1);
    if (!socket.established()) CountRefused(reason, via);
  }
  // An administrator's reset is for a program that does not read, too.
  if (reason != CloseReason::kAdminReset && socket.StartLingering()) {
    lingering_.emplace(&socket, std::move(owned));
  } else {
    socket.TellDialEnded(reason, DeniedBy(socket.guest_port(), reason));
    socket.CloseSocket(/*by_reset=*/socket.via() != nullptr && reason != CloseReason::kFinished);
    dead_.push_back(std::move(owned));
    reap_->Notify();
  }
}

void HostSide::Finished(HostSocket& socket) {
  const auto it = lingering_.find(&socket);
  if (it == lingering_.end()) return;
  socket.TellDialEnded(socket.flow()->close_reason());
  socket.CloseSocket();
  dead_.push_back(std::move(it->second));
  lingering_.erase(it);
  reap_->Notify();
}

void HostSide::CancelTimer(HostSocket& socket) {
  if (std::exchange(socket.timer_armed, false)) env_.loop.Cancel(socket.timer);
}

void HostSide::OnBuffers() {
  std::vector<HostSocket*> starved;
  starved.swap(starved_);
  // One that ends another is not foreseen: a socket ends only itself.
  for (HostSocket* socket : starved) socket->OnBuffers();
}

void HostSide::Describe(FlowInfo& info) const {
  const bool host_is_initiator = info.initiator.cid == kHostCid;
  const FlowInfo::End& host = host_is_initiator ? info.initiator : info.target;
  const FlowInfo::End& guest = host_is_initiator ? info.target : info.initiator;
  if (host.cid != kHostCid) return;
  const HostSocket* socket = Find(guest.port, host.port);
  if (socket == nullptr) return;
  FlowInfo::Direction& to_host = host_is_initiator ? info.to_initiator : info.to_target;
  to_host.queued_bytes = socket->queued_bytes();
}

}  // namespace kinsock
