// SPDX-License-Identifier: Apache-2.0
#include "device/ring_kick.h"

#include <sys/epoll.h>

#include <utility>

namespace kinsock {

RingKick::RingKick(EventLoop& loop, int fd, std::function<void()> kicked)
    : loop_(loop), fd_(fd), kicked_(std::move(kicked)) {}

RingKick::~RingKick() {
  if (watching_) loop_.Forget(fd_, *this);
}

absl::Status RingKick::Start() {
  absl::Status status = loop_.Watch(fd_, EPOLLIN | EPOLLET, *this);
  watching_ = status.ok();
  return status;
}

void RingKick::Pause() { loop_.Rearm(fd_, EPOLLET, *this); }

void RingKick::Resume() { loop_.Rearm(fd_, EPOLLIN | EPOLLET, *this); }

void RingKick::OnReady(uint32_t) { kicked_(); }

}  // namespace kinsock
