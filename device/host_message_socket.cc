// SPDX-License-Identifier: Apache-2.0
#include "device/host_message_socket.h"

#include <utility>

#include "device/host_side.h"
#include "device/message_socket.h"

namespace kinsock {
namespace {

// Pieces handed to one sendmsg(), well within the kernel's IOV_MAX of 1024. A message of more is copied together.
constexpr size_t kMaxGathered = 512;

// Messages of one wake-up; the rest waits for the next round of the loop, after the other sockets.
constexpr int kReadsPerWakeup = 32;

// What a message that waits costs besides its bytes.
constexpr uint64_t kMessageCost = sizeof(std::string) + 32;

}  // namespace

HostMessageSocket::~HostMessageSocket() { CloseSocket(); }

void HostMessageSocket::Attach(UniqueFd socket) {
  const bool prepared = PrepareMessageSocket(socket.get(), side_.env().window);
  HostSocket::Attach(std::move(socket));
  if (!prepared) side_.End(*this, CloseReason::kHostClosed);
}

// --- From the guest to the host ---

void HostMessageSocket::Gather(const ScatterList& payload, bool ends_message) {
  gathered_.insert(gathered_.end(), payload.segments().begin(), payload.segments().end());
  gathered_bytes_ += payload.size();
  if (gathered_.size() > kMaxGathered && !SetAside()) return;
  if (ends_message) FinishMessage();
}

// The rest of the batch is not the end of a message: it is kept until that comes.
void HostMessageSocket::FlushGathered() {
  if (flow_->state() == Flow::State::kClosed) return ClearGathered();
  if (!SetAside()) return;
  // It is not granted anything before it ends, and has no room to end in. (An empty packet could still end it, but no
  // driver sends one.)
  if (partial_.size() >= side_.env().window) return Failed(/*too_large=*/true);
  TellCreditForTheRest();
}

void HostMessageSocket::FinishMessage() {
  if (waiting_.empty() && partial_.empty()) {
    const SendMessageResult result = SendMessage(socket_.get(), gathered_);
    if (result == SendMessageResult::kSent) {
      const size_t bytes = gathered_bytes_;
      ClearGathered();
      return Consumed(bytes);
    }
    if (result != SendMessageResult::kBusy) return Failed(result == SendMessageResult::kTooLarge);
  }
  if (!SetAside() || !Charge(kMessageCost)) return;
  empty_waiting_ += partial_.empty() ? 1 : 0;
  waiting_.push_back(std::exchange(partial_, {}));
  if (empty_waiting_ > kMaxEmptyMessages) {
    return side_.End(*this, CloseReason::kQuota);
  }
  if (waiting_.size() == 1) WriteQueued();
  UpdateInterest();
}

// Copies what was gathered. False if that broke a limit: the connection is over.
bool HostMessageSocket::SetAside() {
  if (!Charge(gathered_bytes_)) return false;
  side_.env().stats.from_guest_copied_bytes.Add(gathered_bytes_);
  for (const iovec& piece : gathered_) partial_.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  queued_bytes_ += gathered_bytes_;
  ClearGathered();
  return true;
}

bool HostMessageSocket::Charge(uint64_t bytes) {
  if (side_.ChargeBuffered(bytes)) {
    charged_ += bytes;
    return true;
  }
  ClearGathered();
  side_.End(*this, CloseReason::kQuota);
  return false;
}

void HostMessageSocket::Failed(bool too_large) {
  ClearGathered();
  if (lingering_) return side_.Finished(*this);
  side_.End(*this, too_large ? CloseReason::kMessageTooLarge : CloseReason::kHostClosed);
}

void HostMessageSocket::ClearGathered() {
  gathered_.clear();
  gathered_bytes_ = 0;
}

void HostMessageSocket::WriteQueued() {
  while (!waiting_.empty()) {
    std::string& message = waiting_.front();
    const iovec piece{message.data(), message.size()};
    const SendMessageResult result = SendMessage(socket_.get(), absl::MakeConstSpan(&piece, 1));
    if (result == SendMessageResult::kBusy) break;
    if (result != SendMessageResult::kSent) return Failed(result == SendMessageResult::kTooLarge);
    const size_t bytes = message.size();
    empty_waiting_ -= bytes == 0 ? 1 : 0;
    waiting_.pop_front();
    queued_bytes_ -= bytes;
    charged_ -= bytes + kMessageCost;
    side_.ReleaseBuffered(bytes + kMessageCost);
    Consumed(bytes);
  }
  TellCreditForTheRest();
  if (waiting_.empty()) OnWritten();
}

// Half a message waits for its other half, and the guest perhaps for room to send it in: it is told of all there is,
// even if that is little.
void HostMessageSocket::TellCreditForTheRest() {
  if (!partial_.empty()) TellCredit();
}

void HostMessageSocket::DropQueued() {
  ClearGathered();
  partial_.clear();
  waiting_.clear();
  empty_waiting_ = 0;
  queued_bytes_ = 0;
  side_.ReleaseBuffered(std::exchange(charged_, 0));
}

// --- From the host to the guest ---

int HostMessageSocket::reads_per_wakeup() const { return kReadsPerWakeup; }

ReceiveRing::ReadResult HostMessageSocket::Read(const VsockHeader& header) {
  // The guest cannot read the beginning of a message before it has the end: all of it must fit into its window. It may
  // have shrunk that meanwhile.
  const uint32_t window = credit_.peer_buf_alloc();
  const uint32_t largest = window > read_of_message_ ? window - read_of_message_ : 0;
  const ReceiveRing::ReadResult result =
      side_.rx().ReadMessage(socket_.get(), header, credit_.room(), largest, side_.resume());
  if (result.status == ReceiveRing::ReadResult::Status::kOk) {
    read_of_message_ = result.ends_message ? 0 : read_of_message_ + result.bytes;
  }
  return result;
}

}  // namespace kinsock
