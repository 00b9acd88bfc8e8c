// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VHOST_USER_CONNECTION_H_
#define KINSOCK_TESTS_SUPPORT_VHOST_USER_CONNECTION_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "tests/support/vhost_user_wire.h"

namespace kinsock::testing {

// A vhost-user socket at the front-end's end: any bytes and any descriptors out, whole replies in. Everything has
// a deadline; the errors say what was awaited. One thread.
class VhostUserConnection {
 public:
  // Called over and over while something is awaited, for a back-end that needs a turn of the test's thread.
  using Idle = std::function<void()>;

  // Generous: only a back-end that hangs meets it.
  static constexpr std::chrono::seconds kPatience{10};

  struct Message {
    VhostUserHeader header;
    std::string payload;
    std::vector<UniqueFd> fds;
  };

  static absl::StatusOr<VhostUserConnection> Open(const std::string& path, Idle idle = nullptr);

  VhostUserConnection(VhostUserConnection&&) = default;
  VhostUserConnection& operator=(VhostUserConnection&&) = default;

  // A message with a truthful header.
  absl::Status Send(uint32_t request, std::span<const std::byte> payload, std::span<const int> fds = {},
                    uint32_t flags = kVhostUserVersion);

  // Any bytes: malformed headers, halves of messages. The descriptors travel with the first byte.
  absl::Status SendBytes(std::span<const std::byte> bytes, std::span<const int> fds = {});

  // The next whole message of the back-end.
  absl::StatusOr<Message> Receive(std::chrono::milliseconds patience = kPatience);

  // Waits until the back-end has closed the session. Whole replies that come before are dropped.
  absl::Status AwaitClose(std::chrono::milliseconds patience = kPatience);

  // Whether the back-end has closed; looks without waiting.
  bool closed() const;
  // Whether a reply, or a part of one, can be read now.
  bool readable() const;

  int fd() const { return socket_.get(); }
  void Close() { socket_.reset(); }
  // No more bytes will follow; replies can still come.
  void FinishSending();

 private:
  VhostUserConnection(UniqueFd socket, Idle idle) : socket_(std::move(socket)), idle_(std::move(idle)) {}

  // Waits for `events`; false at the deadline.
  bool Await(short events, std::chrono::steady_clock::time_point deadline);
  absl::Status ReadExactly(std::span<std::byte> into, std::vector<UniqueFd>* fds,
                           std::chrono::steady_clock::time_point deadline);

  UniqueFd socket_;
  Idle idle_;
};

// The bytes of a wire structure.
template <typename T>
std::span<const std::byte> AsBytes(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}
inline std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span<const char>(text));
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VHOST_USER_CONNECTION_H_
