// SPDX-License-Identifier: Apache-2.0
#include "device/host_socket.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "device/host_side.h"
#include "device/host_vsock.h"
#include "device/proxy_header.h"

namespace kinsock {
namespace {

// Pieces handed to one sendmsg(), well within the kernel's IOV_MAX of 1024.
constexpr size_t kMaxGathered = 512;

// Reads of one wake-up; the rest waits for the next round of the loop, after the other sockets.
constexpr int kReadsPerWakeup = 4;

constexpr uint32_t kBothWays = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;

}  // namespace

HostSocket::HostSocket(HostSide& side, std::shared_ptr<Flow> flow, Flow::Side host_end, UniqueFd socket,
                       std::shared_ptr<Forward> via)
    : side_(side), flow_(std::move(flow)), host_end_(host_end), socket_(std::move(socket)), via_(std::move(via)) {
  LearnPeer();
}

HostSocket::~HostSocket() { CloseSocket(); }

void HostSocket::CloseSocket(bool by_reset) {
  if (by_reset && socket_.valid()) ResetOnClose(socket_.get());
  if (std::exchange(interest_, 0) != 0) side_.env().loop.ForgetClosing(*this);
  socket_.reset();
  DropQueued();
}

void HostSocket::DropQueued() {
  side_.ReleaseBuffered(backlog_.size());
  backlog_.Clear();
}

void HostSocket::LearnPeer() {
  if (!socket_.valid()) return;
  socklen_t size = sizeof(family_);
  getsockopt(socket_.get(), SOL_SOCKET, SO_DOMAIN, &family_, &size);
  Flow::HostPeer peer;
  ucred process;
  size = sizeof(process);
  if (OnVsock()) {  // nobody knows its process
    VsockPeer(socket_.get(), peer.cid, peer.port);
  } else if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &process, &size) == 0 && process.pid != 0) {
    peer.pid = process.pid;
    peer.uid = process.uid;
  }
  flow_->SetHostPeer(peer);
}

VsockHeader HostSocket::Header(uint16_t op) const {
  const Flow::End& guest = flow_->other_end(host_end_);
  return {.src_cid = kHostCid,
          .dst_cid = guest.port->cid(),
          .src_port = host_port(),
          .dst_port = guest.vsock_port,
          .type = flow_->type(),
          .op = op,
          .buf_alloc = side_.env().window,
          .fwd_cnt = fwd_cnt_};
}

// --- Making the connection ---

void HostSocket::AwaitConnect(UniqueFd socket) {
  socket_ = std::move(socket);
  connecting_ = true;
  UpdateInterest();
}

void HostSocket::Attach(UniqueFd socket) {
  if (!std::exchange(connecting_, false)) socket_ = std::move(socket);
  LearnPeer();
  if (via_ != nullptr && via_->proxy_header && !WriteAtOnce(MakeProxyHeader())) return;
  Owe(kResponse);
}

// Whose connection it is, for whoever is at the other end of the forward.
std::string HostSocket::MakeProxyHeader() const {
  const Flow::End& source = flow_->end(Flow::Side::kInitiator);
  const Flow::End& destination = flow_->end(Flow::Side::kTarget);
  ProxyHeader header{.source_cid = source.port->cid(),
                     .source_port = source.vsock_port,
                     .destination_cid = destination.port->cid(),
                     .destination_port = destination.vsock_port,
                     .connection = flow_->id(),
                     .vm = via_->vm};
  header.SetAddresses(socket_.get(), via_->host, host_end_ == Flow::Side::kInitiator);
  return header.Encode();
}

// The first bytes that the host program gets. False if it is gone, and with it this.
bool HostSocket::WriteAtOnce(const std::string& bytes) {
  const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // Nothing was written before, so the socket has room for all of it unless the program is gone.
  if (sent == static_cast<ssize_t>(bytes.size())) return true;
  side_.End(*this, CloseReason::kHostClosed);
  return false;
}

void HostSocket::SetDial(std::shared_ptr<Dial> dial) {
  flow_->SetHostPeer(dial->caller());
  dial_ = std::move(dial);
}

void HostSocket::TellDialEnded(CloseReason reason, std::shared_ptr<const Policy> denied_by) {
  const std::shared_ptr<Dial> dial = std::exchange(dial_, nullptr);
  if (dial == nullptr) return;
  if (reason == CloseReason::kFinished && HasUnread()) reason = CloseReason::kGuestReset;
  dial->OnEnded(reason, std::move(denied_by));
}

// Whether the host program has written what the guest will never get. From here on its writes fail, so that nothing
// comes in between this and close().
bool HostSocket::HasUnread() {
  shutdown(socket_.get(), SHUT_RD);
  int bytes = 0;
  return ioctl(socket_.get(), FIONREAD, &bytes) == 0 && bytes > 0;
}

void HostSocket::SendRequest() {
  Owe(kRequest);
  UpdateInterest();
}

void HostSocket::OnResponse(const VsockHeader& header) {
  OnCredit(header);
  side_.CancelTimer(*this);
  established_ = true;
  if (via_ != nullptr) {
    if (via_->proxy_header) preface_ = MakeProxyHeader();
    SendPreface();
  } else if (dial_ != nullptr) {
    dial_->OnOpened(host_port(), flow_->id());
  } else if (!OnVsock() && !WriteAtOnce(absl::StrCat("OK ", host_port(), "\n"))) {  // AF_VSOCK has no handshake
    return;
  }
  UpdateInterest();
}

// False if some of it has to wait.
bool HostSocket::SendPreface() {
  while (!preface_.empty()) {
    if (!MaySendPayload()) return false;
    const absl::string_view next = absl::string_view(preface_).substr(0, credit_.room());
    const ReceiveRing::ReadResult put = side_.rx().PutBytes(next, Header(VIRTIO_VSOCK_OP_RW), side_.resume());
    if (put.status != ReceiveRing::ReadResult::Status::kOk) {
      if (!std::exchange(awaits_buffers_, true)) side_.AwaitBuffers(*this);
      return false;
    }
    CountToGuest(put);
    preface_.erase(0, put.bytes);
  }
  return true;
}

// --- From the guest to the host ---

void HostSocket::Gather(const ScatterList& payload, bool) {
  if (gathered_.size() + payload.segments().size() > kMaxGathered) FlushGathered();
  gathered_.insert(gathered_.end(), payload.segments().begin(), payload.segments().end());
  gathered_bytes_ += payload.size();
}

void HostSocket::FlushGathered() {
  if (gathered_bytes_ > 0 && flow_->state() != Flow::State::kClosed) Write(gathered_, gathered_bytes_);
  gathered_.clear();
  gathered_bytes_ = 0;
}

void HostSocket::Write(absl::Span<const iovec> pieces, size_t bytes) {
  size_t written = 0;
  if (backlog_.empty()) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return side_.End(*this, CloseReason::kHostClosed);
    written = sent > 0 ? static_cast<size_t>(sent) : 0;
    Consumed(written);
  }
  if (written < bytes && !Keep(pieces, written, bytes - written)) return;
  UpdateInterest();
}

// Copies what the socket did not take: `bytes` of `pieces` behind the first `skip`. False if that broke a limit.
bool HostSocket::Keep(absl::Span<const iovec> pieces, size_t skip, size_t bytes) {
  if (backlog_.size() + bytes > side_.env().window) {
    side_.End(*this, CloseReason::kCreditViolation);
    return false;
  }
  if (!side_.ChargeBuffered(bytes)) {
    side_.End(*this, CloseReason::kQuota);
    return false;
  }
  side_.env().stats.from_guest_copied_bytes.Add(bytes);
  for (const iovec& piece : pieces) {
    const size_t passed = std::min(skip, piece.iov_len);
    skip -= passed;
    backlog_.Append(absl::string_view(static_cast<const char*>(piece.iov_base) + passed, piece.iov_len - passed));
  }
  return true;
}

void HostSocket::WriteQueued() {
  while (!backlog_.empty()) {
    const absl::string_view chunk = *backlog_.chunk_begin();
    const ssize_t sent = send(socket_.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) {
      if (lingering_) return side_.Finished(*this);
      return side_.End(*this, CloseReason::kHostClosed);
    }
    side_.ReleaseBuffered(static_cast<size_t>(sent));
    backlog_.RemovePrefix(static_cast<size_t>(sent));
    Consumed(static_cast<size_t>(sent));
  }
  OnWritten();
}

// All that the guest sent is with the host program.
void HostSocket::OnWritten() {
  if (lingering_) return side_.Finished(*this);
  const bool no_more = (flow_->shutdown(Opposite(host_end_)) & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
  if (no_more && !std::exchange(write_shut_, true)) shutdown(socket_.get(), SHUT_WR);
}

void HostSocket::Consumed(size_t bytes) {
  fwd_cnt_ += static_cast<uint32_t>(bytes);
  if (via_ != nullptr) via_->stats->bytes_to_host.Add(bytes);
  // Half a window that the guest does not know to be free is half of what it may send.
  if (!lingering_ && fwd_cnt_ - advertised_fwd_cnt_ >= side_.env().window / 2) Owe(kCreditUpdate);
}

void HostSocket::TellCredit() {
  if (!lingering_ && fwd_cnt_ != advertised_fwd_cnt_) Owe(kCreditUpdate);
}

void HostSocket::OnGuestShutdown() {
  FlushGathered();
  if (flow_->state() == Flow::State::kClosed) return;
  const uint32_t flags = flow_->shutdown(Opposite(host_end_));
  // The guest waits for an RST that confirms (virtio 1.3, 5.10.6.7).
  if (flags == kBothWays) return side_.End(*this, CloseReason::kFinished);
  if (!HasQueued()) OnWritten();
  if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV) {
    shutdown(socket_.get(), SHUT_RD);  // the host program's next write fails
    end_of_file_ = true;
  }
  UpdateInterest();
}

bool HostSocket::StartLingering() {
  if (!HasQueued() || hung_up_) return false;
  lingering_ = true;
  UpdateInterest();
  return true;
}

// --- From the host to the guest ---

void HostSocket::OnCredit(const VsockHeader& header) {
  credit_.Update(header.buf_alloc, header.fwd_cnt);
  if (header.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST) Owe(kCreditUpdate);
  if (awaits_credit_ && credit_.room() > 0) {
    awaits_credit_ = false;
    SendPreface();
    UpdateInterest();
  }
}

void HostSocket::OnBuffers() {
  awaits_buffers_ = false;
  if (SendOwed()) SendPreface();
  UpdateInterest();
}

void HostSocket::OnReady(uint32_t events) {
  if (connecting_) return side_.OnConnectOutcome(*this, ConnectOutcome(socket_.get()));
  if (PeerHungUp(events)) hung_up_ = true;
  if (events & EPOLLOUT) WriteQueued();
  if (lingering_ || flow_->state() == Flow::State::kClosed) return UpdateInterest();
  if (hung_up_ && !established_) return side_.End(*this, CloseReason::kHostClosed);
  if (!established_) {  // what it says, or that it has shut down its half, is read later
    is_early_ = true;
    return UpdateInterest();
  }
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) ReadSome();
  if (hung_up_) OnHangup();
  UpdateInterest();
}

// Whether the host program has closed its socket altogether.
bool HostSocket::PeerHungUp(uint32_t events) const {
  if (events & (EPOLLHUP | EPOLLERR)) return true;
  return (events & EPOLLRDHUP) != 0 && OnVsock() && !write_shut_ && VsockPeerIsGone(socket_.get());
}

bool HostSocket::MaySendPayload() {
  if (credit_.room() > 0) return SendOwed();  // a RESPONSE comes before the first payload
  awaits_credit_ = true;
  flow_->BeginStall(host_end_);
  Owe(kCreditRequest);
  return false;
}

void HostSocket::CountToGuest(const ReceiveRing::ReadResult& sent) {
  credit_.Spend(sent.bytes);
  Granted();
  flow_->CountSent(host_end_, sent.bytes, sent.packets);
  if (via_ != nullptr) via_->stats->bytes_to_guest.Add(sent.bytes);
}

void HostSocket::ReadSome() {
  if (!SendPreface()) return;
  for (int i = 0; i < reads_per_wakeup() && !end_of_file_; ++i) {
    if (!MaySendPayload()) return;
    const ReceiveRing::ReadResult result = Read(Header(VIRTIO_VSOCK_OP_RW));
    switch (result.status) {
      case ReceiveRing::ReadResult::Status::kOk:
        CountToGuest(result);
        break;
      case ReceiveRing::ReadResult::Status::kEndOfFile:
        return OnEndOfFile();
      case ReceiveRing::ReadResult::Status::kWouldBlock:
        return;
      case ReceiveRing::ReadResult::Status::kNoBuffers:
        if (!std::exchange(awaits_buffers_, true)) side_.AwaitBuffers(*this);
        return;
      case ReceiveRing::ReadResult::Status::kTooLarge:
        return side_.End(*this, CloseReason::kMessageTooLarge);
      case ReceiveRing::ReadResult::Status::kError:
        return side_.End(*this, CloseReason::kHostClosed);
    }
  }
}

ReceiveRing::ReadResult HostSocket::Read(const VsockHeader& header) {
  return side_.rx().ReadFrom(socket_.get(), header, credit_.room(), side_.resume());
}

int HostSocket::reads_per_wakeup() const { return kReadsPerWakeup; }

void HostSocket::OnEndOfFile() {
  end_of_file_ = true;
  if (PeerHungUp(EPOLLRDHUP)) hung_up_ = true;
  shutdown_flags_ = VIRTIO_VSOCK_SHUTDOWN_SEND;
  Owe(kShutdown);
}

// The host program has closed its socket altogether. What it wrote before is read first.
void HostSocket::OnHangup() {
  if (!end_of_file_ || flow_->state() == Flow::State::kClosed || shutdown_flags_ == kBothWays) return;
  shutdown_flags_ = kBothWays;
  Owe(kShutdown);
}

void HostSocket::Owe(Owed packet) {
  owed_ |= packet;
  SendOwed();
}

// False if some are still owed: the guest has no buffers.
bool HostSocket::SendOwed() {
  if (owed_ == 0) return true;
  const bool sent = SendOne(kRequest, VIRTIO_VSOCK_OP_REQUEST, 0) && SendOne(kResponse, VIRTIO_VSOCK_OP_RESPONSE, 0) &&
                    SendOne(kCreditUpdate, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0) &&
                    SendOne(kCreditRequest, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0) &&
                    SendOne(kShutdown, VIRTIO_VSOCK_OP_SHUTDOWN, shutdown_flags_);
  if (!sent && !std::exchange(awaits_buffers_, true)) side_.AwaitBuffers(*this);
  return sent;
}

bool HostSocket::SendOne(Owed packet, uint16_t op, uint32_t flags) {
  if ((owed_ & packet) == 0) return true;
  VsockHeader header = Header(op);
  header.flags = flags;
  if (!side_.rx().TrySend(header, side_.resume())) return false;
  owed_ &= static_cast<uint8_t>(~packet);
  if (packet == kResponse) established_ = true;
  if (packet != kRequest) flow_->Accept(header, host_end_);
  Granted();
  return true;
}

// The guest has been told of the present window.
void HostSocket::Granted() {
  advertised_fwd_cnt_ = fwd_cnt_;
  flow_->Grant(host_end_, side_.env().window, fwd_cnt_);
}

// Watches the socket for what can be acted on, and for nothing else: readiness that nobody uses would spin.
void HostSocket::UpdateInterest() {
  uint32_t wanted = 0;
  if (HasQueued() || connecting_) wanted |= EPOLLOUT;
  if (!lingering_ && flow_->state() != Flow::State::kClosed) {
    // Before it is established nothing can be read, but most programs wait for that, too.
    const bool may_speak = established_ || !(is_early_ || connecting_);
    const bool can_read = may_speak && !end_of_file_ && !awaits_credit_ && !awaits_buffers_;
    if (can_read) wanted |= EPOLLIN;
    // Edge-triggered and without data: tells of a hang-up, once.
    if (wanted == 0 && !hung_up_ && !awaits_credit_ && !awaits_buffers_) {
      wanted = OnVsock() ? EPOLLET | EPOLLRDHUP : EPOLLET;
    }
  }
  if (wanted == interest_ || !socket_.valid()) return;
  EventLoop& loop = side_.env().loop;
  if (wanted == 0 && hung_up_ && end_of_file_) {  // there is nothing more to do with it
    loop.ForgetClosing(*this);
    socket_.reset();
  } else if (wanted == 0) {
    loop.Forget(socket_.get(), *this);
  } else if (interest_ != 0) {
    loop.Rearm(socket_.get(), wanted, *this);
  } else if (!loop.Watch(socket_.get(), wanted, *this).ok()) {
    interest_ = 0;
    if (flow_->state() != Flow::State::kClosed) side_.End(*this, CloseReason::kQuota);
    return;
  }
  interest_ = wanted;
}

}  // namespace kinsock
