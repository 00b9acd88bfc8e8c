// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VHOST_USER_CHANNEL_H_
#define KINSOCK_DEVICE_VHOST_USER_CHANNEL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "device/vhost_user_message.h"

namespace kinsock {

// One message of a front-end, complete.
struct VhostUserMessage {
  VhostUserHeader header{};
  std::array<std::byte, kMaxVhostUserPayload> payload;  // header.size bytes of it
  std::vector<UniqueFd> fds;

  bool needs_reply() const { return (header.flags & kVhostUserNeedReply) != 0; }

  // The `offset`-th bytes of the payload as a T; zeroes where the payload is shorter.
  template <typename T>
  T Payload(size_t offset = 0) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (offset < header.size) {
      std::memcpy(&value, payload.data() + offset, std::min<size_t>(sizeof(T), header.size - offset));
    }
    return value;
  }
};

// Frames on a vhost-user socket. Never waits: half a message stays here until the rest comes. Thread: the
// owner's.
class VhostUserChannel {
 public:
  enum class ReadResult : uint8_t {
    kMessage,     // `message` is complete
    kIncomplete,  // nothing more to read now
    kClosed,      // the front-end has gone, between two messages
    kError,       // the front-end has gone inside one, or does not speak the protocol: error() says it
  };

  // `socket`: connected, non-blocking.
  explicit VhostUserChannel(UniqueFd socket) : socket_(std::move(socket)) {}

  ReadResult Read(VhostUserMessage& message);

  // Sends a reply to `request`. UNAVAILABLE if the front-end does not take it: replies are a few bytes, so its
  // socket is full only if it never reads.
  absl::Status Reply(const VhostUserHeader& request, absl::Span<const std::byte> payload);
  template <typename T>
  absl::Status Reply(const VhostUserHeader& request, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return Reply(request, absl::MakeConstSpan(reinterpret_cast<const std::byte*>(&value), sizeof(value)));
  }

  // Whether a part of a message is here and the rest is not.
  bool MidMessage() const { return header_bytes_ > 0; }
  const absl::Status& error() const { return error_; }
  int fd() const { return socket_.get(); }

 private:
  ReadResult ReadInto(void* to, size_t wanted, size_t& have);
  ReadResult Fail(absl::Status error);

  UniqueFd socket_;
  VhostUserMessage partial_;
  size_t header_bytes_ = 0;
  size_t payload_bytes_ = 0;
  absl::Status error_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VHOST_USER_CHANNEL_H_
