// SPDX-License-Identifier: Apache-2.0
#include "device/first_words.h"

#include <sys/epoll.h>

#include <utility>

#include "absl/status/status.h"

namespace kinsock {

class FirstWords::Connection final : public FdHandler {
 public:
  Connection(FirstWords& owner, UniqueFd socket) : owner_(owner), socket_(std::move(socket)) {
    if (owner_.limits_.timeout.count() == 0) return;
    timer_armed_ = true;
    timer_ = owner_.loop_.RunAfter(owner_.limits_.timeout, [this] {
      timer_armed_ = false;
      Leave();
    });
  }
  ~Connection() { Stop(); }

  // Edge-triggered: half a message that stays in the socket must not be reported over and over.
  absl::Status Start() {
    absl::Status status = owner_.loop_.Watch(socket_.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, *this);
    watching_ = status.ok();
    return status;
  }

  void OnReady(uint32_t events) override {
    const Verdict verdict = owner_.judge_(socket_.get(), (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
    if (verdict.action == Verdict::Action::kWait) return;
    if (verdict.action == Verdict::Action::kDrop) return Leave();
    Stop();
    owner_.take_(std::move(socket_), verdict.value);
    owner_.Drop(*this);
  }

  void Leave() {
    if (std::exchange(watching_, false)) owner_.loop_.ForgetClosing(*this);
    Stop();
    socket_.reset();
    owner_.Drop(*this);
  }

 private:
  void Stop() {
    if (std::exchange(watching_, false)) owner_.loop_.Forget(socket_.get(), *this);
    if (std::exchange(timer_armed_, false)) owner_.loop_.Cancel(timer_);
  }

  FirstWords& owner_;
  UniqueFd socket_;
  EventLoop::TimerId timer_{};
  bool timer_armed_ = false;
  bool watching_ = false;
};

FirstWords::FirstWords(EventLoop& loop, const Limits& limits, Judge judge, Take take)
    : loop_(loop),
      limits_(limits),
      judge_(std::move(judge)),
      take_(std::move(take)),
      reap_(Wakeup::Create(loop, [this] { dead_.clear(); })) {}

FirstWords::~FirstWords() { reap_->Disarm(); }

void FirstWords::Add(UniqueFd connection) {
  // Who has spoken already needs no place here.
  const Verdict verdict = judge_(connection.get(), /*no_more=*/false);
  if (verdict.action == Verdict::Action::kTake) return take_(std::move(connection), verdict.value);
  if (verdict.action == Verdict::Action::kDrop) return;
  if (waiting_.size() >= limits_.connections) waiting_.front()->Leave();
  waiting_.push_back(std::make_unique<Connection>(*this, std::move(connection)));
  if (!waiting_.back()->Start().ok()) waiting_.pop_back();
}

void FirstWords::Drop(Connection& connection) {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->get() != &connection) continue;
    dead_.splice(dead_.end(), waiting_, it);
    reap_->Notify();
    return;
  }
}

}  // namespace kinsock
