// SPDX-License-Identifier: Apache-2.0
#include "device/listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace kinsock {

Listener::Listener(EventLoop& loop, UniqueFd socket, std::function<void(UniqueFd)> accepted)
    : loop_(loop), socket_(std::move(socket)), accepted_(std::move(accepted)) {}

Listener::~Listener() {
  if (watching_) loop_.Forget(socket_.get(), *this);
  if (paused_) loop_.Cancel(timer_);
}

absl::Status Listener::Start() {
  absl::Status status = loop_.Watch(socket_.get(), EPOLLIN, *this);
  watching_ = status.ok();
  return status;
}

void Listener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    UniqueFd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection.valid()) {
      accepted_(std::move(connection));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return Pause();
    if (errno != ECONNABORTED && errno != EINTR) return;
  }
}

// The connection that could not be accepted stays in the backlog and would be reported again at once.
void Listener::Pause() {
  loop_.Forget(socket_.get(), *this);
  watching_ = false;
  paused_ = true;
  timer_ = loop_.RunAfter(kPause, [this] {
    paused_ = false;
    if (!Start().ok()) Pause();
  });
}

}  // namespace kinsock
