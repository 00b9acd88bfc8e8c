// SPDX-License-Identifier: Apache-2.0
#include "tests/support/message_program.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

namespace kinsock::testing {
namespace {

constexpr size_t kLargest = 1 << 20;
constexpr int kMessagesPerTurn = 16;

}  // namespace

MessageProgram::MessageProgram(Stage& stage, UniqueFd socket) : stage_(stage), socket_(std::move(socket)) {
  const int on = 1;
  setsockopt(socket_.get(), SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
  stage_.Enter(*this);
}

MessageProgram::~MessageProgram() { stage_.Leave(*this); }

bool MessageProgram::Poll() {
  if (!socket_.valid()) return false;
  const bool wrote = Write();
  return Read() || wrote;
}

bool MessageProgram::Write() {
  bool happened = false;
  while (!outgoing_.empty() && !broken_) {
    const std::string& message = outgoing_.front();
    if (send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
      if (errno == EAGAIN) return happened;
      broken_ = true;
      return true;
    }
    outgoing_.pop_front();
    happened = true;
  }
  if (outgoing_.empty() && std::exchange(send_closing_, false)) {
    shutdown(socket_.get(), SHUT_WR);
    happened = true;
  }
  return happened;
}

bool MessageProgram::Read() {
  bool happened = false;
  std::string buffer(kLargest, '\0');
  for (int i = 0; i < kMessagesPerTurn && reading_ && !eof_; ++i) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timeval))];
    iovec piece{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t size = recvmsg(socket_.get(), &message, 0);
    if (size < 0 && errno == EAGAIN) break;
    happened = true;
    if (size >= 0 && message.msg_controllen > 0) {
      messages_.push_back(buffer.substr(0, static_cast<size_t>(size)));
      continue;
    }
    if (size < 0) {
      broken_ = true;  // told once, before what is still to be read
    } else {
      eof_ = true;
    }
  }
  return happened;
}

void MessageProgram::AppendAwaited(std::vector<pollfd>& fds) const {
  if (!socket_.valid()) return;
  short events = reading_ && !eof_ ? POLLIN : 0;
  if (!outgoing_.empty() && !broken_) events |= POLLOUT;
  if (events != 0) fds.push_back({socket_.get(), events, 0});
}

std::string MessageProgram::Describe() const {
  return "host program: unsent " + std::to_string(outgoing_.size()) + " messages, received " +
         std::to_string(messages_.size()) + (eof_ ? " eof" : "") + (broken_ ? " broken" : "");
}

}  // namespace kinsock::testing
