// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_MESSAGE_SOCKET_H_
#define KINSOCK_DEVICE_MESSAGE_SOCKET_H_

#include <sys/uio.h>

#include <cstdint>

#include "absl/types/span.h"

namespace kinsock {

// What an AF_UNIX socket of type SOCK_SEQPACKET can do that a stream cannot: whole messages, of which the receiver may
// take a part at a time while the kernel keeps the message. Any thread, one at a time for a socket; nothing blocks.

// What the kernel holds of messages that were not read yet, at least: one of `largest` bytes has to fit. False if the
// kernel cannot do what PeekMessage() needs.
bool PrepareMessageSocket(int fd, uint32_t largest);

// The oldest message in the socket, from where the last PeekMessage() of it has ended.
struct PeekedMessage {
  enum class Status : uint8_t {
    kMessage,
    kEndOfFile,   // the other end sends no more, and all was read
    kWouldBlock,  // none is there
    kError,
  };
  Status status = Status::kError;
  uint32_t rest = 0;  // kMessage: bytes from there to its end, those that were copied included
};

// Copies as much of it as fits into `pieces`. An empty message is not end of file: it counts as kMessage.
// Descriptors that come with a message are not taken.
PeekedMessage PeekMessage(int fd, absl::Span<const iovec> pieces);

// Takes the oldest message out of the socket. Precondition: PeekMessage() has just copied its end.
void DropMessage(int fd);

enum class SendMessageResult : uint8_t {
  kSent,      // whole
  kBusy,      // no room now: EPOLLOUT tells when there may be
  kTooLarge,  // will never fit into the socket's buffer
  kGone,      // the other end does not read any more
};

// Sends `pieces` as one message. At most IOV_MAX (1024) of them.
SendMessageResult SendMessage(int fd, absl::Span<const iovec> pieces);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_MESSAGE_SOCKET_H_
