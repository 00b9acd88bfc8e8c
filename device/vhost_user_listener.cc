// SPDX-License-Identifier: Apache-2.0
#include "device/vhost_user_listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace kinsock {
namespace {

FirstWords::Verdict JudgeCandidate(int fd, bool no_more) {
  char first;
  const ssize_t got = recv(fd, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
  if (got > 0) return {.action = FirstWords::Verdict::Action::kTake};
  const bool waits = got < 0 && (errno == EAGAIN || errno == EINTR) && !no_more;
  return {.action = waits ? FirstWords::Verdict::Action::kWait : FirstWords::Verdict::Action::kDrop};
}

}  // namespace

VhostUserListener::VhostUserListener(EventLoop& loop, UniqueFd socket, std::function<void(UniqueFd)> front_end)
    : candidates_(
          loop, {.connections = kMaxCandidates, .timeout = std::chrono::milliseconds(0)}, JudgeCandidate,
          [front_end = std::move(front_end)](UniqueFd connection, uint32_t) { front_end(std::move(connection)); }),
      listener_(loop, std::move(socket), [this](UniqueFd connection) { candidates_.Add(std::move(connection)); }) {}

}  // namespace kinsock
