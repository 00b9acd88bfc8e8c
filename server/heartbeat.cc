// SPDX-License-Identifier: Apache-2.0
#include "server/heartbeat.h"

#include <time.h>

#include <algorithm>

namespace kinsock {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::Monotonic().Now().time_since_epoch()).count();
}

}  // namespace

Heartbeat::Heartbeat(EventLoop& main, ReactorPool& pool, const Times& times)
    : main_(main), pool_(pool), times_(times), state_(std::make_shared<State>(pool.size())) {
  Beat();
}

Heartbeat::~Heartbeat() { main_.Cancel(timer_); }

void Heartbeat::Beat() {
  const int64_t now = Now();
  state_->main_at.store(now, std::memory_order_relaxed);
  std::vector<bool> asks(state_->pulses.size());
  for (size_t i = 0; i < asks.size(); ++i) {
    // One message at a time: a reactor that is stuck is not to find a heap of them.
    int64_t none = 0;
    asks[i] = state_->pulses[i].asked_at.compare_exchange_strong(none, now, std::memory_order_relaxed);
  }
  pool_.PostToEach([state = state_, asks](size_t reactor) {
    if (asks[reactor]) Answer(state->pulses[reactor]);
  });
  timer_ = main_.RunAfter(times_.interval, [this] { Beat(); });
}

// On the reactor.
void Heartbeat::Answer(Pulse& pulse) {
  const int64_t delay = Now() - pulse.asked_at.load(std::memory_order_relaxed);
  timespec cpu{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  pulse.busy.store(cpu.tv_sec * 1'000'000'000 + cpu.tv_nsec, std::memory_order_relaxed);
  const auto of = std::find_if(kClasses.begin(), kClasses.end(), [&](auto bound) { return delay <= bound.count(); });
  pulse.delays[static_cast<size_t>(of - kClasses.begin())].fetch_add(1, std::memory_order_relaxed);
  pulse.delay_sum.fetch_add(delay, std::memory_order_relaxed);
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
    figures.busy = std::chrono::nanoseconds(pulse.busy.load(std::memory_order_relaxed));
    for (size_t i = 0; i < figures.delays.size(); ++i) {
      figures.delays[i] = pulse.delays[i].load(std::memory_order_relaxed);
    }
    figures.delay_sum = std::chrono::nanoseconds(pulse.delay_sum.load(std::memory_order_relaxed));
    reactors.push_back(figures);
  }
  return reactors;
}

bool Heartbeat::all_alive() const {
  const std::vector<ReactorFigures> all = reactors();
  return !is_stuck(main_silent_for()) &&
         std::none_of(all.begin(), all.end(), [this](const ReactorFigures& each) { return is_stuck(each.silent_for); });
}

}  // namespace kinsock
