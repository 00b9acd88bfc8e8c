// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_STREAM_H_
#define KINSOCK_TESTS_SUPPORT_STREAM_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/guest_connection.h"

namespace kinsock::testing {

// A guest program's hold on a connection. Calls only state what is wanted; the guest does it when it has its turn on
// the stage. Copies refer to the same connection, which may be closed already. One thread.
class Stream {
 public:
  explicit Stream(std::shared_ptr<GuestConnection> connection) : connection_(std::move(connection)) {}

  void Send(std::string_view text) { connection_->outgoing().Append(text); }
  // On a connection of type SEQPACKET.
  void SendMessage(std::string message, bool ends_record = false) {
    connection_->outgoing_messages().Append(std::move(message), ends_record);
  }
  void SendUnfinished(std::string bytes) { connection_->outgoing_messages().AppendUnfinished(std::move(bytes)); }
  const std::vector<std::string>& Messages() const { return connection_->incoming_messages().read(); }
  size_t records() const { return connection_->incoming_messages().records(); }
  // The next `bytes` of pattern stream `seed`, and what to expect at the other end.
  void SendPattern(uint32_t seed, uint64_t bytes) { connection_->outgoing().AppendPattern(seed, bytes); }
  void ExpectPattern(uint32_t seed) { connection_->incoming().ExpectPattern(seed); }

  // Everything that was received so far; or, for a pattern, what it was like ("exact").
  const std::string& Received() const { return connection_->incoming().text(); }
  uint64_t received_bytes() const { return connection_->incoming().size(); }
  std::string Verdict(uint64_t expected_bytes) const { return connection_->incoming().Verdict(expected_bytes); }

  void ShutdownSend() { connection_->ShutdownSend(); }
  void Close() { connection_->Close(); }
  void Reset() { connection_->Reset(); }
  void PauseReading() { connection_->PauseReading(); }
  void ResumeReading() { connection_->ResumeReading(); }

  bool established() const { return connection_->state() == GuestConnection::State::kEstablished; }
  bool connecting() const { return connection_->state() == GuestConnection::State::kConnecting; }
  bool closed() const { return connection_->state() == GuestConnection::State::kClosed; }
  bool was_reset() const { return connection_->was_reset(); }
  bool at_eof() const { return connection_->at_eof(); }
  // All that was given to Send() has gone out.
  bool all_sent() const { return connection_->outgoing().empty() && connection_->outgoing_messages().empty(); }
  uint64_t sent_bytes() const { return connection_->sent(); }
  uint32_t local_port() const { return connection_->key().local_port; }

  GuestConnection& connection() const { return *connection_; }

 private:
  std::shared_ptr<GuestConnection> connection_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_STREAM_H_
