// SPDX-License-Identifier: Apache-2.0
#include "device/hybrid_listener.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "device/connect_line.h"

namespace kinsock {
namespace {

constexpr FirstWords::Verdict kWait{.action = FirstWords::Verdict::Action::kWait};
constexpr FirstWords::Verdict kDrop{.action = FirstWords::Verdict::Action::kDrop};

FirstWords::Verdict JudgeLine(int fd, bool no_more) {
  std::array<char, ConnectLine::kMaxBytes> buffer;
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return kWait;
  if (got <= 0) return kDrop;
  const ConnectLine line = ConnectLine::Parse(absl::string_view(buffer.data(), static_cast<size_t>(got)));
  if (line.status == ConnectLine::Status::kIncomplete) return no_more ? kDrop : kWait;
  if (line.status != ConnectLine::Status::kComplete) return kDrop;
  // Takes the line only: what follows is the guest's.
  if (recv(fd, buffer.data(), line.bytes, MSG_DONTWAIT) != static_cast<ssize_t>(line.bytes)) return kDrop;
  return {.action = FirstWords::Verdict::Action::kTake, .value = line.port};
}

}  // namespace

HybridListener::HybridListener(EventLoop& loop, UniqueFd socket, IsAttached is_attached, Connect connect)
    : undecided_(loop, {.connections = kMaxUndecided, .timeout = kLineTimeout}, JudgeLine,
                 [is_attached, connect = std::move(connect)](UniqueFd program, uint32_t port) {
                   if (is_attached()) connect(std::move(program), port);
                 }),
      listener_(loop, std::move(socket), [this, is_attached](UniqueFd program) {
        if (is_attached()) undecided_.Add(std::move(program));
      }) {}

}  // namespace kinsock
