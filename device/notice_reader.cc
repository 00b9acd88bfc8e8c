// SPDX-License-Identifier: Apache-2.0
#include "device/notice_reader.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace kinsock {

class NoticeReader::Connection final : public FdHandler {
 public:
  Connection(NoticeReader& owner, UniqueFd socket, bool messages)
      : owner_(owner), socket_(std::move(socket)), messages_(messages) {}
  ~Connection() { Close(); }

  bool Start() {
    watching_ = owner_.loop_.Watch(socket_.get(), EPOLLIN | EPOLLRDHUP, *this).ok();
    return watching_;
  }

  void Close() {
    if (std::exchange(watching_, false)) owner_.loop_.ForgetClosing(*this);
    socket_.reset();
  }

  // One read: a guest that has more to say waits for the others of the loop.
  void OnReady(uint32_t events) override {
    std::array<char, kMaxLineBytes> buffer;
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC * messages_ | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const bool too_long = got > static_cast<ssize_t>(buffer.size());
    if (got > 0 && !too_long) {
      if (TakeIn(absl::string_view(buffer.data(), static_cast<size_t>(got)))) return owner_.on_pause_();
    }
    // An empty message looks like the end; it says nothing, and more may follow.
    const bool over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (got == 0 && messages_ && !over) return;
    if (got > 0) {
      owner_.stats_.refused_notices.Add();
    } else if (got == 0 && !line_.empty()) {
      owner_.on_line_(line_);
      owner_.on_pause_();
    }
    Close();
    owner_.End(*this);
  }

 private:
  // False: a line is too long.
  bool TakeIn(absl::string_view text) {
    for (size_t end; (end = text.find('\n')) != absl::string_view::npos; text.remove_prefix(end + 1)) {
      if (line_.size() + end > kMaxLineBytes) return false;
      line_.append(text.data(), end);
      TellLine();
    }
    if (line_.size() + text.size() > kMaxLineBytes) return false;
    line_.append(text.data(), text.size());
    if (messages_) TellLine();
    return true;
  }

  void TellLine() {
    if (!line_.empty()) owner_.on_line_(line_);
    line_.clear();
  }

  NoticeReader& owner_;
  UniqueFd socket_;
  const bool messages_;
  bool watching_ = false;
  std::string line_;  // has not ended yet
};

NoticeReader::NoticeReader(EventLoop& loop, DeviceStats& stats, std::function<void(absl::string_view)> on_line,
                           std::function<void()> on_pause)
    : loop_(loop),
      stats_(stats),
      on_line_(std::move(on_line)),
      on_pause_(std::move(on_pause)),
      reap_(Wakeup::Create(loop, [this] { dead_.clear(); })) {}

NoticeReader::~NoticeReader() { reap_->Disarm(); }

UniqueFd NoticeReader::Connect(int socket_type) {
  int pair[2];
  if (socketpair(AF_UNIX, socket_type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return UniqueFd();
  UniqueFd guest_end(pair[0]);
  if (open_.size() >= kMaxConnections) {
    stats_.refused_notices.Add();
    open_.front()->Close();
    End(*open_.front());
  }
  open_.push_back(std::make_unique<Connection>(*this, UniqueFd(pair[1]), socket_type == SOCK_SEQPACKET));
  if (!open_.back()->Start()) {
    open_.pop_back();
    return UniqueFd();
  }
  return guest_end;
}

void NoticeReader::Clear() {
  for (const std::unique_ptr<Connection>& connection : open_) connection->Close();
  dead_.splice(dead_.end(), open_);
  reap_->Notify();
}

void NoticeReader::End(Connection& connection) {
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    if (it->get() != &connection) continue;
    dead_.splice(dead_.end(), open_, it);
    reap_->Notify();
    return;
  }
}

}  // namespace kinsock
