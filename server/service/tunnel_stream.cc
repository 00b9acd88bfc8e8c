// SPDX-License-Identifier: Apache-2.0
#include "server/service/tunnel_stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "device/vsock_device.h"
#include "server/convert/connection_conversion.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

absl::Status ClientWentAway() { return absl::CancelledError("the client went away"); }

// `ours` stays here, `theirs` is the host program's.
absl::Status MakePair(UniqueFd& ours, UniqueFd& theirs) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
    return Error(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED",
                 "the daemon has no descriptors left for a tunnel; raise its LimitNOFILE, or end some connections")
        .With("limit", "descriptors")
        .Quota("daemon", "descriptors");
  }
  ours = UniqueFd(pair[0]);
  theirs = UniqueFd(pair[1]);
  for (const int fd : pair) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &TunnelStream::kSocketBytes, sizeof(TunnelStream::kSocketBytes));
  }
  return absl::OkStatus();
}

}  // namespace

TunnelStream* TunnelStream::Start(Tunnels& tunnels, Audit::Who who, WatchQuota::Ticket ticket) {
  const std::shared_ptr<TunnelStream> stream(new TunnelStream(tunnels, std::move(who), std::move(ticket)));
  stream->keep_alive_ = stream;
  stream->Post(&TunnelStream::Begin);
  stream->StartRead(&stream->in_);
  return stream.get();
}

TunnelStream::TunnelStream(Tunnels& tunnels, Audit::Who who, WatchQuota::Ticket ticket)
    : tunnels_(tunnels), loop_(tunnels.loop()), who_(std::move(who)), ticket_(std::move(ticket)) {}

// --- gRPC's threads ---

void TunnelStream::Post(void (TunnelStream::*what)()) {
  loop_.Post([self = shared_from_this(), what] { (self.get()->*what)(); });
}

void TunnelStream::OnReadDone(bool ok) {
  loop_.Post([self = shared_from_this(), ok] { self->OnRead(ok); });
}

void TunnelStream::OnWriteDone(bool ok) {
  loop_.Post([self = shared_from_this(), ok] { self->OnWritten(ok); });
}

void TunnelStream::OnCancel() {
  loop_.Post([self = shared_from_this()] { self->End(ClientWentAway()); });
}

void TunnelStream::OnDone() {
  ticket_ = WatchQuota::Ticket();
  tunnels_.CountOut();
  // The tunnels' thread lets go of it last.
  EventLoop& loop = loop_;
  loop.Post([self = std::move(keep_alive_)] {});
}

// --- From open to opened ---

void TunnelStream::Begin() {
  loop_.thread().AssertHeld();
  if (finished_) return;
  if (absl::Status closed = tunnels_.Enter(*this); !closed.ok()) return End(closed);
  open_timer_ = loop_.RunAfter(Tunnels::kOpenTimeout, [this] {  // goes in End(), before this object does
    open_timer_.reset();
    End(TunnelNotOpened());
  });
}

void TunnelStream::OnRead(bool ok) {
  reading_ = false;
  if (finished_ || !ok) in_.Clear();  // what nobody will look at, or half a frame
  if (finished_) return;
  if (state_ == State::kAwaitingOpen) return ok ? Open() : End(TunnelWithoutFrame());
  if (ok) return TakeFrame();
  // One that has said half_close may end its side of the call; any other did not come to its end.
  if (!client_done_)
    End(absl::CancelledError("the client ended the call without half_close, so the guest got a reset"));
}

void TunnelStream::Open() {
  absl::StatusOr<TunnelTarget> target = ToTunnelTarget(in_);
  if (!target.ok()) return End(target.status());
  if (open_timer_.has_value()) loop_.Cancel(*open_timer_);
  open_timer_.reset();
  state_ = State::kConnecting;
  target_ = *std::move(target);
  tunnels_.env().main.Post([self = shared_from_this(), target = target_] { self->BeginDial(target); });
}

void TunnelStream::BeginDial(const TunnelTarget& target) {
  UniqueFd ours, theirs;
  absl::StatusOr<DeviceId> device = tunnels_.env().manager.ServedDevice(target.vm_id);
  if (absl::Status fault = device.ok() ? MakePair(ours, theirs) : device.status(); !fault.ok()) {
    loop_.Post([self = shared_from_this(), fault] { self->End(fault); });
    return;
  }
  // The connection does not hold the call, but for the moment that a message takes.
  const std::weak_ptr<TunnelStream> weak = weak_from_this();
  auto end = std::make_shared<TunnelEnd>(
      loop_, target.port, CallerAsPeer(),
      [weak](uint32_t host_port, uint64_t connection) {
        if (const auto self = weak.lock()) self->OnOpened(host_port, connection);
      },
      [weak](CloseReason reason, const std::shared_ptr<const Policy>& denied_by) {
        if (const auto self = weak.lock()) self->OnEnded(reason, denied_by);
      });
  // Before the reactor can say anything.
  loop_.Post([self = shared_from_this(), socket = std::move(ours), end]() mutable {
    self->OnDialled(std::move(socket), std::move(end));
  });
  tunnels_.env().pool.Tell(
      *device,
      [socket = std::make_shared<UniqueFd>(std::move(theirs)), end = std::move(end)](VsockDevice& vm) {
        vm.Connect(std::move(*socket), end);
      },
      [] {});
}

Flow::HostPeer TunnelStream::CallerAsPeer() const {
  if (!who_.caller.ok() || who_.caller->transport != Caller::Transport::kUnix) return {};
  return {.pid = who_.caller->pid, .uid = who_.caller->uid};
}

void TunnelStream::OnDialled(UniqueFd socket, std::shared_ptr<TunnelEnd> end) {
  if (finished_) return;  // closing it ends the connection
  socket_ = std::move(socket);
  end_ = std::move(end);
}

void TunnelStream::OnOpened(uint32_t host_port, uint64_t connection) {
  connection_ = connection;
  state_ = State::kOpen;
  if (finished_) return LetGoOfGuest();
  AuditEvent("start", absl::OkStatus());
  v1::TunnelOpened& opened = *out_.mutable_opened();
  opened.set_host_port(host_port);
  opened.set_connection(ConnectionName(connection, tunnels_.env().instance));
  Write();
  ReadNext();
}

void TunnelStream::OnEnded(CloseReason reason, const std::shared_ptr<const Policy>& denied_by) {
  ended_ = reason;
  if (state_ == State::kOpen) return SendToClient();
  End(TunnelRefused(target_, reason, denied_by.get()));
}

// --- From the client to the guest ---

void TunnelStream::TakeFrame() {
  if (absl::Status fault = CheckTunnelFrame(in_, client_done_); !fault.ok()) return End(fault);
  switch (in_.frame_case()) {
    case v1::TunnelFrame::kReset:
      return End(absl::CancelledError("the client has reset the connection"));
    case v1::TunnelFrame::kHalfClose:
      client_done_ = true;
      shutdown(socket_.get(), SHUT_WR);
      return ReadNext();
    default:
      sent_ = 0;
      return SendToGuest();
  }
}

void TunnelStream::SendToGuest() {
  const std::string& data = in_.data();
  while (sent_ < data.size()) {
    const ssize_t sent = send(socket_.get(), data.data() + sent_, data.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return UpdateInterest();
    if (sent < 0) {  // the guest takes no more; it may still have something to say
      lossy_ = true;
      break;
    }
    sent_ += static_cast<size_t>(sent);
    bytes_to_guest_ += static_cast<uint64_t>(sent);
  }
  ReadNext();
}

void TunnelStream::ReadNext() {
  in_.Clear();
  reading_ = true;
  UpdateInterest();
  if (!finished_) StartRead(&in_);
}

// --- From the guest to the client ---

// One frame, if the client has taken the one before.
void TunnelStream::SendToClient() {
  if (finished_ || writing_) return;
  if (!end_of_file_ && ReadData()) return Write();
  end_of_file_ ? SendEnd() : UpdateInterest();
}

bool TunnelStream::ReadData() {
  std::string& data = *out_.mutable_data();
  data.resize(kMaxFrameBytes);
  ssize_t got;
  do {
    got = recv(socket_.get(), data.data(), data.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    data.resize(static_cast<size_t>(got));
    bytes_to_client_ += static_cast<uint64_t>(got);
    return true;
  }
  if (got < 0 && errno == EAGAIN) return false;
  if (got < 0) lossy_ = true;  // ECONNRESET: it was closed with something of the client's in it
  end_of_file_ = true;
  return false;
}

// What the end of file means depends on whether the connection was over before.
void TunnelStream::SendEnd() {
  const bool over = end_->ended();
  if (over && !ended_.has_value()) return UpdateInterest();  // the reason is under way
  const bool in_order = !over || (*ended_ == CloseReason::kFinished && !lossy_ && !HasUnsent());
  if (!in_order) return EndByReset();
  if (!std::exchange(guest_done_, true)) {
    out_.mutable_half_close();
    return Write();
  }
  over ? End(absl::OkStatus()) : UpdateInterest();
}

void TunnelStream::Write() {
  writing_ = true;
  UpdateInterest();
  // Nothing is written any more once that has ended it.
  if (!finished_) StartWrite(&out_);
}

void TunnelStream::OnWritten(bool ok) {
  writing_ = false;
  ok ? SendToClient() : End(ClientWentAway());
}

// --- Both ways ---

void TunnelStream::OnReady(uint32_t events) {
  const std::shared_ptr<TunnelStream> self = shared_from_this();
  if ((events & ~static_cast<uint32_t>(EPOLLIN)) != 0 && HasUnsent()) SendToGuest();
  SendToClient();
}

// Watches the socket for what can be acted on, and for nothing else: a hang-up is always reported, and would spin.
void TunnelStream::UpdateInterest() {
  if (finished_) return;
  const uint32_t in = !writing_ && !end_of_file_ ? uint32_t{EPOLLIN} : 0;
  const uint32_t wanted = in | (HasUnsent() ? uint32_t{EPOLLOUT} : 0);
  if (wanted == interest_) return;
  if (wanted == 0) {
    loop_.Forget(socket_.get(), *this);
  } else if (interest_ != 0) {
    loop_.Rearm(socket_.get(), wanted, *this);
  } else if (absl::Status watched = loop_.Watch(socket_.get(), wanted, *this); !watched.ok()) {
    return End(watched);
  }
  interest_ = wanted;
}

// --- The end ---

void TunnelStream::End(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  Leave(status);
  Finish(ToGrpcStatus(status));
}

// The connection is over, and was not ended in order.
void TunnelStream::EndByReset() {
  finished_ = true;
  // Orderly for the guest, and yet not all that was sent has come through.
  const CloseReason reason = *ended_ == CloseReason::kFinished ? CloseReason::kGuestReset : *ended_;
  const absl::Status status = TunnelWasReset(target_, reason);
  Leave(status);
  out_.mutable_reset()->set_reason(ReasonToProto(reason));
  StartWriteAndFinish(&out_, grpc::WriteOptions(), ToGrpcStatus(status));
}

void TunnelStream::Leave(const absl::Status& status) {
  if (!reading_) in_.Clear();  // may be far larger than is allowed, and OnDone() far away
  if (open_timer_.has_value()) loop_.Cancel(*open_timer_);
  if (state_ == State::kConnecting) AuditEvent("start", status);
  if (state_ == State::kOpen) AuditEvent("end", absl::OkStatus());
  LetGoOfGuest();
  end_ = nullptr;
  tunnels_.Leave(*this);
}

void TunnelStream::LetGoOfGuest() {
  if (std::exchange(interest_, 0) != 0) loop_.Forget(socket_.get(), *this);
  if (state_ == State::kOpen && !ended_.has_value()) {
    // A socket that is closed looks like a program that has said all it wanted to: so the reset comes first.
    tunnels_.env().main.Post([&pool = tunnels_.env().pool, id = connection_, socket = std::move(socket_)]() mutable {
      pool.ResetFlow(id, CloseReason::kHostClosed, [socket = std::move(socket)](const std::optional<FlowInfo>&) {});
    });
  }
  socket_.reset();
}

void TunnelStream::AuditEvent(std::string_view phase, const absl::Status& status) {
  std::map<std::string, std::string> fields{{"phase", std::string(phase)}, {"port", absl::StrCat(target_.port)}};
  if (state_ == State::kOpen) fields["connection"] = ConnectionName(connection_, tunnels_.env().instance);
  if (finished_ && state_ == State::kOpen) {
    fields["bytes_to_guest"] = absl::StrCat(bytes_to_guest_);
    fields["bytes_to_client"] = absl::StrCat(bytes_to_client_);
  }
  tunnels_.env().audit.Mutation(who_, "ConnectionService.Tunnel", target_.name(), status, fields);
}

}  // namespace kinsock
