// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_listener.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/host/log.h"

namespace kinsock {
namespace {

// Connections taken in one go, before others on this thread have their turn.
constexpr int kAcceptsPerTurn = 16;
// How long to leave callers waiting when not even the spare descriptor helps.
constexpr std::chrono::milliseconds kPause{100};

bool OutOfDescriptors(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

UniqueFd OpenSpare() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

ApiListener::ApiListener(EventLoop& loop, BoundSocket socket, ApiConnections& connections, Identify identify,
                         OnConnection on_connection, OnConnection on_refused)
    : loop_(loop),
      socket_(std::move(socket)),
      connections_(connections),
      identify_(std::move(identify)),
      on_connection_(std::move(on_connection)),
      on_refused_(std::move(on_refused)),
      spare_(OpenSpare()) {}

ApiListener::~ApiListener() { Stop(); }

absl::Status ApiListener::Start() {
  const absl::Status watched = loop_.Watch(socket_.listener().get(), EPOLLIN, *this);
  if (watched.ok()) return watched;
  return absl::Status(watched.code(),
                      absl::StrCat("its listening socket cannot be watched: ", watched.message(),
                                   "; raise fs.epoll.max_user_watches (sysctl) if there is no room for one more, or "
                                   "start without this socket"));
}

void ApiListener::Stop() {
  if (resume_.has_value()) loop_.Cancel(*resume_);
  resume_.reset();
  if (!socket_.listener().valid()) return;
  loop_.Forget(socket_.listener().get(), *this);
  socket_.Remove();
}

void ApiListener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!AcceptOne()) return;
  }
}

// False: nobody else waits, or it is not the time.
bool ApiListener::AcceptOne() {
  UniqueFd connection(accept4(socket_.listener().get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.valid()) {
    Admit(std::move(connection));
    return true;
  }
  const int error = errno;
  if (error == EINTR || error == ECONNABORTED) return true;
  if (OutOfDescriptors(error)) TurnOneAway();
  return false;
}

void ApiListener::Admit(UniqueFd connection) {
  const absl::StatusOr<Caller> caller = identify_(connection.get());
  if (!caller.ok()) return;
  if (connections_.Add(connection.get(), *caller)) return on_connection_(std::move(connection));
  if (std::has_single_bit(++refused_)) {
    Log(LogLevel::kWarning, "api.refused")
        .With("caller", caller->ToString())
        .With("role", RoleName(caller->role))
        .With("times", static_cast<int64_t>(refused_));
  }
  if (on_refused_ != nullptr) on_refused_(std::move(connection));
}

void ApiListener::TurnOneAway() {
  spare_.reset();
  UniqueFd unlucky(accept4(socket_.listener().get(), nullptr, nullptr, SOCK_CLOEXEC));
  const bool helped = unlucky.valid();
  unlucky.reset();
  spare_ = OpenSpare();
  if (std::has_single_bit(++refused_)) {
    Log(LogLevel::kError, "api.no_descriptors").With("times", static_cast<int64_t>(refused_));
  }
  if (!helped || !spare_.valid()) Pause();
}

// The listener stays ready while callers wait; without this the loop would spin.
void ApiListener::Pause() {
  if (resume_.has_value()) return;
  loop_.Rearm(socket_.listener().get(), 0, *this);
  resume_ = loop_.RunAfter(kPause, [this] {
    resume_.reset();
    if (!spare_.valid()) spare_ = OpenSpare();
    loop_.Rearm(socket_.listener().get(), EPOLLIN, *this);
  });
}

}  // namespace kinsock
