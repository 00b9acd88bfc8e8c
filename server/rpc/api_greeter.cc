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

constexpr uint8_t kGoaway = 7;
constexpr uint32_t kEnhanceYourCalm = 11;

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift);
  return bytes;
}

uint32_t BigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// A frame of the connection as a whole.
std::string Frame(uint8_t type, const std::string& payload) {
  return BigEndian(static_cast<uint32_t>(payload.size())).substr(1) + static_cast<char>(type) + std::string(5, '\0') +
         payload;
}

// SETTINGS with SETTINGS_MAX_CONCURRENT_STREAMS (3).
std::string Greeting() {
  return Frame(kSettings, std::string("\0\3", 2) + BigEndian(static_cast<uint32_t>(kMaxStreamsPerConnection)));
}

// No call was begun, so that clients may make them anew.
std::string Farewell() {
  return Frame(kGoaway, BigEndian(uint32_t{0}) + BigEndian(kEnhanceYourCalm) +
                            "acknowledge SETTINGS before you send more: read what there is, then make calls");
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
        deadline_(greeter.loop_.RunAfter(kPatience, [this] { HangUp(); })) {}
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
    if (acknowledged == Acknowledged::kNo && got > 0) return HangUp();
    greeter_.Settle(*this, acknowledged == Acknowledged::kYes);
  }

  UniqueFd TakeConnection() {
    greeter_.loop_.Forget(connection_.get(), *this);
    return std::move(connection_);
  }

 private:
  // On one who may speak HTTP/2, and is told why.
  void HangUp() {
    const std::string farewell = Farewell();
    // To one who leaves no room for it, nothing can be said.
    (void)send(connection_.get(), farewell.data(), farewell.size(), MSG_NOSIGNAL);
    greeter_.Settle(*this, false);
  }

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
