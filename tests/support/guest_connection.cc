// SPDX-License-Identifier: Apache-2.0
#include "tests/support/guest_connection.h"

#include <algorithm>
#include <utility>

namespace kinsock::testing {
namespace {

constexpr uint32_t kBothWays = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;

// Linux tells its peer of free space when less than this is left of what it told before.
constexpr uint32_t kMaxPacket = 64 * 1024;

}  // namespace

GuestConnection::GuestConnection(Key key, uint16_t type, uint64_t cid, const GuestOptions& options,
                                 Violations& violations, Transmit transmit)
    : key_(key),
      type_(type),
      cid_(cid),
      options_(options),
      violations_(violations),
      transmit_(std::move(transmit)),
      window_(options.window) {}

VsockPacket GuestConnection::Packet(uint16_t op) const {
  VsockPacket packet;
  packet.src_cid = cid_;
  packet.dst_cid = key_.peer_cid;
  packet.src_port = key_.local_port;
  packet.dst_port = key_.peer_port;
  packet.type = type_;
  packet.op = op;
  return packet;
}

void GuestConnection::Send(VsockPacket packet) {
  packet.buf_alloc = window_;
  packet.fwd_cnt = fwd_count_;
  advertised_fwd_ = fwd_count_;
  advertised_window_ = std::max(advertised_window_, window_);
  transmit_(std::move(packet));
}

void GuestConnection::SendRequest() { SendOp(VIRTIO_VSOCK_OP_REQUEST); }

void GuestConnection::SendResponse(const VsockPacket& request) {
  state_ = State::kEstablished;
  TakeCredit(request);
  SendOp(VIRTIO_VSOCK_OP_RESPONSE);
}

void GuestConnection::Violated(const std::string& what) const {
  violations_.Add("connection " + Describe() + ": " + what);
}

void GuestConnection::TakeCredit(const VsockPacket& packet) {
  peer_buf_alloc_ = packet.buf_alloc;
  if (packet.fwd_cnt - peer_fwd_count_ > tx_count_ - peer_fwd_count_) {
    Violated("fwd_cnt " + std::to_string(packet.fwd_cnt) + " of " + std::to_string(tx_count_) + " bytes sent");
  }
  peer_fwd_count_ = packet.fwd_cnt;
}

uint32_t GuestConnection::credit() const {
  const uint32_t under_way = tx_count_ - peer_fwd_count_;
  return peer_buf_alloc_ > under_way ? peer_buf_alloc_ - under_way : 0;
}

void GuestConnection::Receive(const VsockPacket& packet) {
  if (state_ == State::kClosed) return;
  if (packet.type != type_) Violated(ToString(packet) + ": of another type");
  if (packet.op != VIRTIO_VSOCK_OP_RST) TakeCredit(packet);
  if (packet.op == VIRTIO_VSOCK_OP_RST) {
    // Linux answers a close of both ways with RST: that is an end in order.
    End(!closing_ && peer_shutdown_ != kBothWays);
    return;
  }
  if (state_ == State::kConnecting) {
    if (packet.op == VIRTIO_VSOCK_OP_RESPONSE) {
      state_ = State::kEstablished;
    } else {
      Violated(std::string(OpName(packet.op)) + " before the connection was accepted");
    }
    return;
  }
  switch (packet.op) {
    case VIRTIO_VSOCK_OP_RW:
      TakePayload(packet);
      break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
      credit_requested_ = false;
      break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
      SendCreditUpdate();
      break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
      TakeShutdown(packet);
      break;
    default:
      Violated(std::string(OpName(packet.op)) + " on an established connection");
  }
}

void GuestConnection::TakePayload(const VsockPacket& packet) {
  const auto size = static_cast<uint32_t>(packet.payload.size());
  const bool ends_message = has_messages() && (packet.flags & VIRTIO_VSOCK_SEQ_EOM) != 0;
  if (size == 0 && !ends_message) Violated("a data packet without data");
  if ((peer_shutdown_ & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0) Violated("data after its end was announced");
  received_count_ += size;
  ++data_packets_;
  if (received_count_ - advertised_fwd_ > advertised_window_) {
    Violated("the peer exceeded its credit: " + std::to_string(received_count_ - advertised_fwd_) + " bytes of " +
             std::to_string(advertised_window_));
  }
  if (has_messages()) {
    incoming_messages_.Feed(packet.payload, ends_message, (packet.flags & VIRTIO_VSOCK_SEQ_EOR) != 0);
    if (reading_) ReadMessages();
    return;
  }
  unread_ += packet.payload;
  if (reading_) Read(unread_.size());
}

// virtio_transport_seqpacket_do_dequeue(): whole messages only, and the peer is told each time.
void GuestConnection::ReadMessages() {
  uint32_t bytes = 0;
  while (incoming_messages_.Read(bytes)) {
    fwd_count_ += bytes;
    if (state_ == State::kEstablished) SendCreditUpdate();
  }
}

void GuestConnection::TakeShutdown(const VsockPacket& packet) {
  peer_shutdown_ |= packet.flags & kBothWays;
  if (peer_shutdown_ == kBothWays && unread() == 0) {
    SendOp(VIRTIO_VSOCK_OP_RST);
    End(false);
  }
}

void GuestConnection::Read(uint64_t bytes) {
  const uint64_t taken = std::min<uint64_t>(bytes, unread_.size());
  if (taken == 0) return;
  incoming_.Feed(std::string_view(unread_).substr(0, taken));
  unread_.erase(0, taken);
  fwd_count_ += static_cast<uint32_t>(taken);
  const uint32_t told_free = window_ - (fwd_count_ - advertised_fwd_);
  if (state_ == State::kEstablished && (told_free < kMaxPacket || told_free > window_)) SendCreditUpdate();
}

void GuestConnection::ResumeReading() {
  reading_ = true;
  if (has_messages()) ReadMessages();
  Read(unread_.size());
}

void GuestConnection::ReadSome(uint64_t bytes) { Read(bytes); }

bool GuestConnection::at_eof() const {
  const bool ended = state_ == State::kClosed || (peer_shutdown_ & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
  return ended && unread() == 0;
}

bool GuestConnection::Produce() {
  if (state_ == State::kClosed) {
    ClearOutgoing();
    return false;
  }
  if (state_ != State::kEstablished) return false;
  if (peer_shut_down_receive()) ClearOutgoing();  // EPIPE
  const uint32_t room = std::min(credit(), options_.tx_packet_bytes);
  if ((!nothing_to_send() && room > 0) || outgoing_messages_.next_is_empty()) {
    SendPayload(room);
    return true;
  }
  if (!nothing_to_send()) {
    if (!options_.requests_credit || credit_requested_) return false;
    credit_requested_ = true;
    RequestCredit();
    return true;
  }
  if (closing_ && peer_shutdown_ == kBothWays) {
    SendOp(VIRTIO_VSOCK_OP_RST);
    End(false);
    return true;
  }
  if (closing_ && own_shutdown_ != kBothWays) {
    Shutdown(kBothWays);
    return true;
  }
  if (send_closing_ && (own_shutdown_ & VIRTIO_VSOCK_SHUTDOWN_SEND) == 0) {
    Shutdown(VIRTIO_VSOCK_SHUTDOWN_SEND);
    return true;
  }
  return false;
}

void GuestConnection::SendPayload(uint32_t room) {
  VsockPacket packet = Packet(VIRTIO_VSOCK_OP_RW);
  if (has_messages()) {
    OutgoingMessages::Piece piece = outgoing_messages_.Take(room);
    packet.payload = std::move(piece.bytes);
    packet.flags = (piece.ends_message ? VIRTIO_VSOCK_SEQ_EOM : 0) | (piece.ends_record ? VIRTIO_VSOCK_SEQ_EOR : 0);
  } else {
    packet.payload = outgoing_.Take(room);
  }
  tx_count_ += static_cast<uint32_t>(packet.payload.size());
  sent_ += packet.payload.size();
  Send(std::move(packet));
}

void GuestConnection::ClearOutgoing() {
  outgoing_.Clear();
  outgoing_messages_.Clear();
}

void GuestConnection::Shutdown(uint32_t flags) {
  own_shutdown_ |= flags;
  VsockPacket packet = Packet(VIRTIO_VSOCK_OP_SHUTDOWN);
  packet.flags = flags;
  Send(std::move(packet));
}

void GuestConnection::Reset() {
  if (state_ == State::kClosed) return;
  SendOp(VIRTIO_VSOCK_OP_RST);
  End(false);
}

void GuestConnection::Abandon() {
  if (state_ != State::kClosed) End(true);
}

void GuestConnection::End(bool reset) {
  state_ = State::kClosed;
  was_reset_ = reset;
}

std::string GuestConnection::Describe() const {
  static constexpr const char* kStates[] = {"connecting", "established", "closed"};
  return std::to_string(cid_) + ":" + std::to_string(key_.local_port) + "-" + std::to_string(key_.peer_cid) + ":" +
         std::to_string(key_.peer_port) + " " + kStates[static_cast<int>(state_)] + (was_reset_ ? " (reset)" : "") +
         " sent " + std::to_string(sent_) + " unsent " + std::to_string(outgoing_.size() + outgoing_messages_.size()) +
         " received " + std::to_string(incoming_.size()) + " unread " + std::to_string(unread()) + " credit " +
         std::to_string(credit());
}

}  // namespace kinsock::testing
