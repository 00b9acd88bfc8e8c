// SPDX-License-Identifier: Apache-2.0
#include "device/backend_channel.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "device/vhost_user_message.h"

namespace kinsock {

BackendChannel::BackendChannel(EventLoop& loop, UniqueFd socket, std::function<void()> answered)
    : loop_(loop), socket_(std::move(socket)), answered_(std::move(answered)) {}

BackendChannel::~BackendChannel() {
  if (watching_) loop_.Forget(socket_.get(), *this);
}

bool BackendChannel::SayConfigChange(bool acknowledged) {
  if (!socket_.valid() || awaited_ >= kMaxAwaited) return false;
  if (acknowledged && !watching_) {
    if (!loop_.Watch(socket_.get(), EPOLLIN, *this).ok()) return false;
    watching_ = true;
  }
  const VhostUserHeader message{.request = kBackendConfigChange,
                                .flags = kVhostUserVersion | (acknowledged ? kVhostUserNeedReply : 0),
                                .size = 0};
  const ssize_t sent = send(socket_.get(), &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(sizeof(message))) {
    if (acknowledged) ++awaited_;
    return true;
  }
  // Of half a message the other half would be taken for another.
  if (sent >= 0 || errno != EAGAIN) Close();
  return false;
}

void BackendChannel::OnReady(uint32_t) {
  while (socket_.valid()) {
    const ssize_t got = recv(socket_.get(), reply_.data() + have_, reply_.size() - have_, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) break;
    have_ += static_cast<size_t>(got);
    if (have_ < reply_.size()) continue;
    have_ = 0;
    VhostUserHeader header;
    std::memcpy(&header, reply_.data(), sizeof(header));
    const bool expected = awaited_ > 0 && header.request == kBackendConfigChange &&
                          header.size == kReplyBytes - sizeof(header) && (header.flags & kVhostUserReply) != 0;
    if (!expected) break;
    // Whether it could do anything with it does not matter: it has been told.
    if (--awaited_ == 0) answered_();
  }
  const bool was_awaited = awaited_ > 0;
  Close();
  if (was_awaited) answered_();
}

void BackendChannel::Close() {
  if (std::exchange(watching_, false)) loop_.Forget(socket_.get(), *this);
  socket_.reset();
  awaited_ = 0;
}

}  // namespace kinsock
