// SPDX-License-Identifier: Apache-2.0
//
// Blocking AF_VSOCK sockets (vsock(7)): streams, and with SOCK_SEQPACKET messages.
#ifndef KINSOCK_TESTS_E2E_GUEST_STREAM_H_
#define KINSOCK_TESTS_E2E_GUEST_STREAM_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "tests/e2e/guest/options.h"

namespace kinsock::guest {

// One connected socket. Where it has messages, a Write() is one and a Read() is one. Reading and writing may be done by
// two threads at a time.
class Stream {
 public:
  explicit Stream(int fd) : fd_(fd) {}
  Stream(Stream&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Stream& operator=(Stream&&) = delete;
  ~Stream();

  // Writes all of it. Returns 0 or the errno that ended it; `written` (if given) grows by what was taken.
  int Write(std::span<const std::byte> bytes, uint64_t* written = nullptr);

  struct ReadResult {
    size_t bytes;  // 0 with error 0: the peer has finished sending
    int error;
  };
  ReadResult Read(std::span<std::byte> into);

  int fd() const { return fd_; }

  // Says that no more will be sent; the other direction stays open.
  void FinishSending();

 private:
  int fd_;
};

// Waits on a port of any CID of this machine. Reports "listening" as soon as connections are queued.
class Listener {
 public:
  explicit Listener(uint32_t port, int type = SOCK_STREAM);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  Stream Accept();

 private:
  int fd_;
};

struct ConnectResult {
  Stream stream;
  int error;  // 0: connected
};
ConnectResult TryConnect(Address to, int type = SOCK_STREAM);

// Connects, or ends the program.
Stream Connect(Address to, int type = SOCK_STREAM);

// The one connection that the options ask for, made by connecting or by accepting.
Stream OpenStream(const Options& options);

// The type of socket that the options ask for.
inline int SocketType(const Options& options) { return options.seqpacket ? SOCK_SEQPACKET : SOCK_STREAM; }

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_STREAM_H_
