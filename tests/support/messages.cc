// SPDX-License-Identifier: Apache-2.0
#include "tests/support/messages.h"

#include <algorithm>
#include <span>
#include <utility>

#include "tests/e2e/guest/pattern.h"

namespace kinsock::testing {

std::string PatternMessage(uint32_t seed, size_t bytes) {
  std::string message(bytes, '\0');
  guest::FillPattern(seed, 0, std::as_writable_bytes(std::span(message)));
  return message;
}

uint64_t OutgoingMessages::size() const {
  uint64_t bytes = 0;
  for (const Piece& message : messages_) bytes += message.bytes.size();
  return bytes;
}

OutgoingMessages::Piece OutgoingMessages::Take(size_t limit) {
  Piece& message = messages_.front();
  if (message.bytes.size() <= limit) {
    Piece whole = std::move(message);
    messages_.pop_front();
    return whole;
  }
  Piece piece{message.bytes.substr(0, limit), false, false};
  message.bytes.erase(0, limit);
  return piece;
}

void IncomingMessages::Feed(std::string_view bytes, bool ends_message, bool ends_record) {
  partial_.append(bytes);
  if (ends_message) whole_.push_back({std::exchange(partial_, {}), ends_record});
}

bool IncomingMessages::Read(uint32_t& bytes) {
  if (whole_.empty()) return false;
  bytes = static_cast<uint32_t>(whole_.front().bytes.size());
  records_ += whole_.front().ends_record ? 1 : 0;
  read_.push_back(std::move(whole_.front().bytes));
  whole_.pop_front();
  return true;
}

uint64_t IncomingMessages::unread_bytes() const {
  uint64_t bytes = partial_.size();
  for (const Message& message : whole_) bytes += message.bytes.size();
  return bytes;
}

}  // namespace kinsock::testing
