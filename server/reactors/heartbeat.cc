// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/heartbeat.h"

#include <algorithm>
#include <utility>

namespace kinsock {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::Monotonic().Now().time_since_epoch()).count();
}

}  // namespace

Heartbeat::Heartbeat(EventLoop& main, ReactorPool& pool, const Times& times)
    : main_(main), pool_(pool), times_(times), state_(std::make_shared<State>(pool.size())) {
  Beat();
  BreakWaits();
}

Heartbeat::~Heartbeat() {
  main_.Cancel(timer_);
  main_.Cancel(wait_timer_);
}

void Heartbeat::BreakWaits() {
  pool_.BreakWaits(kLongestWait);
  wait_timer_ = main_.RunAfter(kLongestWait, [this] { BreakWaits(); });
}

void Heartbeat::Beat() {
  const int64_t now = Now();
  state_->main_at.store(now, std::memory_order_relaxed);
  for (size_t i = 0; i < state_->pulses.size(); ++i) {
    // One message at a time: a reactor that is stuck is not to find a heap of them.
    int64_t none = 0;
    if (!state_->pulses[i].asked_at.compare_exchange_strong(none, now, std::memory_order_relaxed)) continue;
    pool_.Post(i, [state = state_, i] { Answer(state->pulses[i]); });
  }
  if (on_change_ != nullptr && reactors_alive() != told_alive_) {
    told_alive_ = !told_alive_;
    on_change_(told_alive_);
  }
  timer_ = main_.RunAfter(times_.interval, [this] { Beat(); });
}

void Heartbeat::WatchReactors(std::function<void(bool alive)> on_change) {
  on_change_ = std::move(on_change);
  told_alive_ = reactors_alive();
  if (on_change_ != nullptr) on_change_(told_alive_);
}

// On the reactor.
void Heartbeat::Answer(Pulse& pulse) {
  const int64_t delay = Now() - pulse.asked_at.load(std::memory_order_relaxed);
  pulse.delays.Add(std::chrono::nanoseconds(delay));
  pulse.asked_at.store(0, std::memory_order_relaxed);
}

std::chrono::nanoseconds Heartbeat::main_silent_for() const {
  return std::chrono::nanoseconds(std::max<int64_t>(0, Now() - state_->main_at.load(std::memory_order_relaxed)));
}

std::vector<Heartbeat::ReactorFigures> Heartbeat::reactors() const {
  const int64_t now = Now();
  std::vector<ReactorFigures> reactors;
  for (const Pulse& pulse : state_->pulses) {
    ReactorFigures figures;
    const int64_t asked_at = pulse.asked_at.load(std::memory_order_relaxed);
    if (asked_at != 0) figures.silent_for = std::chrono::nanoseconds(std::max<int64_t>(0, now - asked_at));
    figures.delays = pulse.delays.Read();
    reactors.push_back(std::move(figures));
  }
  return reactors;
}

bool Heartbeat::all_alive() const { return !is_stuck(main_silent_for()) && reactors_alive(); }

bool Heartbeat::reactors_alive() const {
  const std::vector<ReactorFigures> all = reactors();
  return std::none_of(all.begin(), all.end(), [this](const ReactorFigures& each) { return is_stuck(each.silent_for); });
}

}  // namespace kinsock
