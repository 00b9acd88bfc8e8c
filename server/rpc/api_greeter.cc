// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_greeter.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "server/rpc/api_limits.h"

namespace kinsock {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHeaderBytes = 9;
constexpr size_t kMaxFrameBytes = 16'384;  // until we say otherwise, which we do not (SETTINGS_MAX_FRAME_SIZE)
constexpr uint8_t kSettings = 4;
constexpr uint8_t kAck = 1;

uint32_t BigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// SETTINGS with SETTINGS_MAX_CONCURRENT_STREAMS (3).
std::string Greeting() {
  std::string frame("\0\0\6\4\0\0\0\0\0\0\3", 11);
  const auto streams = static_cast<uint32_t>(kMaxStreamsPerConnection);
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(streams >> shift);
  return frame;
}

}  // namespace

Acknowledged AcknowledgesSettings(std::string_view received) {
  const std::string_view preface = received.substr(0, kPreface.size());
  if (preface != kPreface.substr(0, preface.size())) return Acknowledged::kNever;
  if (preface.size() < kPreface.size()) return Acknowledged::kNo;
  received.remove_prefix(kPreface.size());
  for (bool first = true; received.size() >= kFrameHeaderBytes; first = false) {
    const size_t length = BigEndian(received.substr(0, 3));
    const auto type = static_cast<uint8_t>(received[3]);
    const bool ack = type == kSettings && (static_cast<uint8_t>(received[4]) & kAck) != 0;
    if (length > kMaxFrameBytes || (first && (type != kSettings || ack))) return Acknowledged::kNever;
    if (ack) {
      const bool sound = length == 0 && BigEndian(received.substr(5, 4)) == 0;
      return sound ? Acknowledged::kYes : Acknowledged::kNever;
    }
    if (received.size() < kFrameHeaderBytes + length) break;
    received.remove_prefix(kFrameHeaderBytes + length);
  }
  return Acknowledged::kNo;
}

// One connection on its way.
class ApiGreeter::Guest final : public FdHandler {
 public:
  Guest(ApiGreeter& greeter, UniqueFd connection)
      : greeter_(greeter),
        connection_(std::move(connection)),
        deadline_(greeter.loop_.RunAfter(kPatience, [this] { greeter_.Settle(*this, false); })) {}
  ~Guest() {
    greeter_.loop_.Cancel(deadline_);
    if (connection_.valid()) greeter_.loop_.Forget(connection_.get(), *this);
  }

  // False: there is nothing to wait for.
  bool Start() {
    const std::string greeting = Greeting();
    // Only what is new is told: what was there stays there to be read by gRPC.
    return send(connection_.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(greeting.size()) &&
           greeter_.loop_.Watch(connection_.get(), EPOLLIN | EPOLLET, *this).ok();
  }

  void OnReady(uint32_t) override {
    std::string received(kMaxBytes, '\0');
    const ssize_t got = recv(connection_.get(), received.data(), received.size(), MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    received.resize(got > 0 ? static_cast<size_t>(got) : 0);
    const Acknowledged acknowledged = AcknowledgesSettings(received);
    const bool goes_on = acknowledged == Acknowledged::kNo && got > 0 && received.size() < kMaxBytes;
    if (goes_on && ++looks_ < kMaxLooks) return;
    greeter_.Settle(*this, acknowledged == Acknowledged::kYes);
  }

  UniqueFd TakeConnection() {
    greeter_.loop_.Forget(connection_.get(), *this);
    return std::move(connection_);
  }

 private:
  ApiGreeter& greeter_;
  UniqueFd connection_;
  const EventLoop::TimerId deadline_;
  int looks_ = 0;
};

ApiGreeter::ApiGreeter(EventLoop& loop, OnGreeted on_greeted) : loop_(loop), on_greeted_(std::move(on_greeted)) {}

ApiGreeter::~ApiGreeter() = default;

void ApiGreeter::Greet(UniqueFd connection) {
  auto guest = std::make_unique<Guest>(*this, std::move(connection));
  if (!guest->Start()) return;
  Guest* const key = guest.get();
  guests_.emplace(key, std::move(guest));
}

void ApiGreeter::Settle(Guest& guest, bool greeted) {
  const auto node = guests_.extract(&guest);
  if (greeted) on_greeted_(node.mapped()->TakeConnection());
}

}  // namespace kinsock
