// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_RAW_CLIENT_H_
#define KINSOCK_TESTS_SERVER_RAW_CLIENT_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"

namespace kinsock::testing {

enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kContinuation = 9,
};
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kEndHeaders = 4;

// A connection that speaks HTTP/2 frame by frame, as its author likes (RFC 9113, section 4.1).
class RawClient {
 public:
  // Acknowledges the daemon's settings before it has heard them, unless told not to.
  explicit RawClient(UniqueFd connection, bool acknowledge = true) : fd_(std::move(connection)) {
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    Frame(kSettings, 0, 0, "");
    if (acknowledge) Frame(kSettings, kAck, 0, "");
  }

  // False: the daemon has hung up.
  bool Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    return Send(FrameOf(type, flags, stream, payload));
  }

  static std::string FrameOf(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    std::string frame;
    for (const size_t shift : {16, 8, 0}) frame += static_cast<char>(payload.size() >> shift);
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
    frame += payload;
    return frame;
  }

  // Answers that come while the daemon does not take all of it are thrown away, perhaps in the middle of one.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
        continue;
      }
      if (sent < 0 && errno != EAGAIN) return false;
      if (!Drain(POLLOUT)) return false;
    }
    return true;
  }

  // Throws away what the daemon answers, waiting for `events` or an answer. False: it has hung up, or is silent.
  bool Drain(short events) {
    pollfd wait{fd_.get(), static_cast<short>(events | POLLIN), 0};
    if (poll(&wait, 1, 60'000) <= 0) return false;
    if ((wait.revents & POLLIN) == 0) return (wait.revents & events) != 0;
    char sink[65536];
    const ssize_t got = read(fd_.get(), sink, sizeof(sink));
    return got > 0 || (got < 0 && errno == EAGAIN);
  }

  struct Answer {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    std::string payload;
  };

  // The next frame of the daemon; nothing when it has hung up, or is silent for a minute.
  std::optional<Answer> Next() {
    const std::optional<std::string> head = Read(9);
    if (!head.has_value()) return std::nullopt;
    const auto number = [&](size_t at, size_t bytes) {
      uint32_t value = 0;
      for (size_t i = at; i < at + bytes; ++i) value = value << 8 | static_cast<uint8_t>((*head)[i]);
      return value;
    };
    std::optional<std::string> payload = Read(number(0, 3));
    if (!payload.has_value()) return std::nullopt;
    return Answer{static_cast<uint8_t>(number(3, 1)), static_cast<uint8_t>(number(4, 1)), number(5, 4),
                  *std::move(payload)};
  }

  // Waits until gRPC serves the connection: the first settings are the greeter's, the second gRPC's. False: as Next().
  bool Served() {
    for (int settings = 0; settings < 2;) {
      const std::optional<Answer> answer = Next();
      if (!answer.has_value()) return false;
      if (answer->type == kSettings) ++settings;
    }
    return true;
  }

  // Whether the daemon hangs up. It has a minute.
  bool HungUp() {
    while (Drain(0)) {
    }
    char byte;
    return recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 || errno != EAGAIN;
  }

 private:
  std::optional<std::string> Read(size_t bytes) {
    std::string text(bytes, '\0');
    for (size_t have = 0; have < bytes;) {
      pollfd wait{fd_.get(), POLLIN, 0};
      if (poll(&wait, 1, 60'000) <= 0) return std::nullopt;
      const ssize_t got = read(fd_.get(), text.data() + have, bytes - have);
      if (got < 0 && errno == EAGAIN) continue;
      if (got <= 0) return std::nullopt;
      have += static_cast<size_t>(got);
    }
    return text;
  }

  UniqueFd fd_;
};

// A header field that is not indexed (RFC 7541, section 6.2.2).
inline std::string HeaderField(std::string_view name, std::string_view value) {
  std::string field(1, '\0');
  for (const std::string_view text : {name, value}) {
    EXPECT_LT(text.size(), 127u);
    field += static_cast<char>(text.size());
    field += text;
  }
  return field;
}

// The headers of a call of `method`, "kinsock.v1.VmService/ListVms".
inline std::string CallHeaders(std::string_view method) {
  return HeaderField(":method", "POST") + HeaderField(":scheme", "http") +
         HeaderField(":path", "/" + std::string(method)) + HeaderField(":authority", "x") +
         HeaderField("content-type", "application/grpc") + HeaderField("te", "trailers");
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_RAW_CLIENT_H_
