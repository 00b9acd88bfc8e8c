// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_MESSAGES_H_
#define KINSOCK_TESTS_SUPPORT_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace kinsock::testing {

// A message whose bytes are those of pattern stream `seed`.
std::string PatternMessage(uint32_t seed, size_t bytes);

// The messages that one end of a SEQPACKET connection has still to send. One thread.
class OutgoingMessages {
 public:
  struct Piece {
    std::string bytes;
    bool ends_message = false;
    bool ends_record = false;
  };

  void Append(std::string message, bool ends_record = false) {
    messages_.push_back({std::move(message), true, ends_record});
  }
  // A piece of a message of which more is to follow.
  void AppendUnfinished(std::string bytes) { messages_.push_back({std::move(bytes), false, false}); }

  bool empty() const { return messages_.empty(); }
  // Whether the next piece may go without credit.
  bool next_is_empty() const { return !messages_.empty() && messages_.front().bytes.empty(); }
  uint64_t size() const;
  void Clear() { messages_.clear(); }

  // The next piece, up to `limit` bytes. Precondition: not empty().
  Piece Take(size_t limit);

 private:
  std::deque<Piece> messages_;
};

// What arrived at one end: whole messages, and the beginning of one. One thread.
class IncomingMessages {
 public:
  void Feed(std::string_view bytes, bool ends_message, bool ends_record);

  // Reads the oldest whole message; false if there is none. `bytes`: how long it was.
  bool Read(uint32_t& bytes);

  const std::vector<std::string>& read() const { return read_; }
  // How many of those that were read ended a record.
  size_t records() const { return records_; }
  uint64_t unread_bytes() const;
  bool nothing_unread() const { return whole_.empty() && partial_.empty(); }

 private:
  struct Message {
    std::string bytes;
    bool ends_record;
  };
  std::deque<Message> whole_;
  std::string partial_;
  std::vector<std::string> read_;
  size_t records_ = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_MESSAGES_H_
