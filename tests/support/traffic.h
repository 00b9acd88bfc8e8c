// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_TRAFFIC_H_
#define KINSOCK_TESTS_SUPPORT_TRAFFIC_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "tests/e2e/guest/pattern.h"

namespace kinsock::testing {

// The bytes that one end of a stream has still to send: text, or pieces of a pattern stream made as they are
// needed. One thread.
class Outgoing {
 public:
  void Append(std::string_view text);

  // The next `size` bytes of pattern stream `seed`; consecutive calls with one seed continue it.
  void AppendPattern(uint32_t seed, uint64_t size);

  uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Takes up to `limit` bytes off the front.
  std::string Take(uint64_t limit);
  // Puts back what could not be sent.
  void PutBack(std::string rest);
  void Clear() { pieces_.clear(), size_ = 0; }

 private:
  struct Piece {
    std::string text;     // or, when empty,
    uint32_t seed = 0;    // this stream,
    uint64_t offset = 0;  // from here,
    uint64_t size = 0;    // so much of it
  };

  std::deque<Piece> pieces_;
  uint64_t size_ = 0;
  uint32_t last_seed_ = 0;
  uint64_t last_offset_ = 0;
};

// What arrived at one end of a stream: kept as text, or compared with a pattern stream as it comes. One thread.
class Incoming {
 public:
  // From the first byte on: these are the bytes of pattern stream `seed`. Before anything has arrived.
  void ExpectPattern(uint32_t seed);

  void Feed(std::string_view bytes);

  uint64_t size() const { return size_; }
  // All that came, unless it is a pattern.
  const std::string& text() const { return text_; }
  // "exact", or what was lost, repeated, reordered or delivered to the wrong stream.
  std::string Verdict(uint64_t expected_size) const;

 private:
  uint64_t size_ = 0;
  std::string text_;
  std::unique_ptr<guest::PatternChecker> pattern_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_TRAFFIC_H_
