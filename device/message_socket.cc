// SPDX-License-Identifier: Apache-2.0
#include "device/message_socket.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

namespace kinsock {
namespace {

// What the kernel takes off the send buffer's size for its own purposes before it compares, with room to spare.
constexpr uint32_t kSendOverhead = 4096;

bool SetOption(int fd, int option, int value) { return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0; }

ssize_t Peek(int fd, absl::Span<const iovec> pieces, bool& is_message) {
  // Room for the time stamp and nothing else: a descriptor that came along would have to be closed by us.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timeval))];
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(fd, &message, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  is_message = got >= 0 && message.msg_controllen > 0;
  return got;
}

}  // namespace

bool PrepareMessageSocket(int fd, uint32_t largest) {
  int buffer = 0;
  socklen_t size = sizeof(buffer);
  getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &size);
  // The kernel doubles what is asked for, and cuts it to net.core.wmem_max: a larger message is refused when it comes.
  if (static_cast<uint32_t>(buffer) < largest + kSendOverhead) {
    SetOption(fd, SO_SNDBUF, static_cast<int>(largest + kSendOverhead));
  }
  // Peeking goes on where it ended last; and a time stamp comes with every message, an empty one too, but not with
  // end of file (unix(7) has the two look alike).
  return SetOption(fd, SO_PEEK_OFF, 0) && SetOption(fd, SO_TIMESTAMP, 1);
}

PeekedMessage PeekMessage(int fd, absl::Span<const iovec> pieces) {
  using Status = PeekedMessage::Status;
  bool is_message = false;
  ssize_t got = Peek(fd, pieces, is_message);
  // The other end closed without reading everything. That is told once, and before what it had sent itself.
  if (got < 0 && (errno == ECONNRESET || errno == EINTR)) got = Peek(fd, pieces, is_message);
  if (is_message) return {.status = Status::kMessage, .rest = static_cast<uint32_t>(got)};
  if (got >= 0) return {.status = Status::kEndOfFile};
  if (errno == EAGAIN || errno == EINTR) return {.status = Status::kWouldBlock};
  return {};
}

void DropMessage(int fd) {
  // ECONNRESET is told once and takes nothing out.
  while (recv(fd, nullptr, 0, MSG_DONTWAIT) < 0 && (errno == ECONNRESET || errno == EINTR)) {
  }
}

SendMessageResult SendMessage(int fd, absl::Span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return SendMessageResult::kSent;
  if (errno == EAGAIN || errno == EINTR) return SendMessageResult::kBusy;
  if (errno == EMSGSIZE) return SendMessageResult::kTooLarge;
  return SendMessageResult::kGone;
}

}  // namespace kinsock
