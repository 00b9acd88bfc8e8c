// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_GUEST_CONNECTION_H_
#define KINSOCK_TESTS_SUPPORT_GUEST_CONNECTION_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/support/guest_options.h"
#include "tests/support/messages.h"
#include "tests/support/traffic.h"
#include "tests/support/violations.h"
#include "tests/support/vsock_packet.h"

namespace kinsock::testing {

// A stream or seqpacket socket inside a guest: what Linux's virtio_transport_common does, with a reader that reads at
// once unless told otherwise, and checks on everything that arrives. One thread.
//
//                 RESPONSE                  SHUTDOWN of both ways, RST
//   kConnecting ------------> kEstablished ----------------------------> kClosed
//        |                     ^                                           ^
//        | RST                 | Accept (kEstablished at once)             |
//        +---------------------|-------------------------------------------+
class GuestConnection {
 public:
  struct Key {
    uint32_t local_port = 0;
    uint64_t peer_cid = 0;
    uint32_t peer_port = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  enum class State : uint8_t { kConnecting, kEstablished, kClosed };
  using Transmit = std::function<void(VsockPacket)>;

  // `type`: VIRTIO_VSOCK_TYPE_*.
  GuestConnection(Key key, uint16_t type, uint64_t cid, const GuestOptions& options, Violations& violations,
                  Transmit transmit);

  void SendRequest();
  void SendResponse(const VsockPacket& request);

  // A packet for this connection.
  void Receive(const VsockPacket& packet);
  // Sends what may be sent now, one packet at most. Returns whether it did anything.
  bool Produce();
  // The device was reset: the kernel closes the socket with ECONNRESET.
  void Abandon();

  // The application's calls.
  Outgoing& outgoing() { return outgoing_; }
  Incoming& incoming() { return incoming_; }
  const Incoming& incoming() const { return incoming_; }
  OutgoingMessages& outgoing_messages() { return outgoing_messages_; }
  const IncomingMessages& incoming_messages() const { return incoming_messages_; }
  void PauseReading() { reading_ = false; }
  void ResumeReading();
  void ReadSome(uint64_t bytes);
  void ShutdownSend() { send_closing_ = true; }
  void ShutdownReceive() { Shutdown(VIRTIO_VSOCK_SHUTDOWN_RCV); }
  void Close() { closing_ = true; }
  void Reset();
  void RequestCredit() { SendOp(VIRTIO_VSOCK_OP_CREDIT_REQUEST); }
  void set_window(uint32_t window) { window_ = window; }
  void SendCreditUpdate() { SendOp(VIRTIO_VSOCK_OP_CREDIT_UPDATE); }

  const Key& key() const { return key_; }
  uint16_t type() const { return type_; }
  State state() const { return state_; }
  bool was_reset() const { return was_reset_; }  // the peer ended it with RST
  bool at_eof() const;                           // the peer will send no more, all is read
  bool peer_shut_down_receive() const { return (peer_shutdown_ & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0; }
  uint64_t sent() const { return sent_; }
  uint64_t data_packets() const { return data_packets_; }  // that have come, read or not
  uint64_t unread() const { return unread_.size() + incoming_messages_.unread_bytes(); }
  uint32_t credit() const;  // bytes that may be sent now
  uint32_t peer_window() const { return peer_buf_alloc_; }
  std::string Describe() const;

 private:
  VsockPacket Packet(uint16_t op) const;
  void Send(VsockPacket packet);
  void SendOp(uint16_t op) { Send(Packet(op)); }
  void Shutdown(uint32_t flags);
  void TakeCredit(const VsockPacket& packet);
  bool has_messages() const { return type_ == VIRTIO_VSOCK_TYPE_SEQPACKET; }
  bool nothing_to_send() const { return outgoing_.empty() && outgoing_messages_.empty(); }
  void ClearOutgoing();
  void SendPayload(uint32_t room);
  void ReadMessages();
  void TakePayload(const VsockPacket& packet);
  void TakeShutdown(const VsockPacket& packet);
  void Read(uint64_t bytes);
  void End(bool reset);
  void Violated(const std::string& what) const;

  const Key key_;
  const uint16_t type_;
  const uint64_t cid_;
  const GuestOptions& options_;
  Violations& violations_;
  Transmit transmit_;
  State state_ = State::kConnecting;
  bool was_reset_ = false;
  Outgoing outgoing_;
  Incoming incoming_;
  std::string unread_;
  OutgoingMessages outgoing_messages_;  // the same for a connection with messages
  IncomingMessages incoming_messages_;
  bool reading_ = true;
  bool send_closing_ = false;   // the application has called shutdown(SHUT_WR)
  bool closing_ = false;        // and close()
  uint32_t own_shutdown_ = 0;   // as sent
  uint32_t peer_shutdown_ = 0;  // as received
  bool credit_requested_ = false;

  // 5.10.6.3, all modulo 2^32.
  uint32_t window_;                 // our buf_alloc
  uint32_t received_count_ = 0;     // what the peer has sent
  uint32_t fwd_count_ = 0;          // what was read of it
  uint32_t advertised_fwd_ = 0;     // the last fwd_cnt that the peer was told
  uint32_t advertised_window_ = 0;  // the largest buf_alloc told
  uint32_t tx_count_ = 0;
  uint32_t peer_buf_alloc_ = 0;
  uint32_t peer_fwd_count_ = 0;
  uint64_t sent_ = 0;
  uint64_t data_packets_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_GUEST_CONNECTION_H_
