// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_HEARTBEAT_H_
#define KINSOCK_SERVER_REACTORS_HEARTBEAT_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/counter.h"
#include "base/duration_histogram.h"
#include "base/event_loop.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {

// Whether the threads that matter still go round: the main thread notes the time once a second and sends each reactor a
// message, whose way is measured.
//
// Thread: main makes and unmakes it; anybody may read.
class Heartbeat {
 public:
  // Between two messages to a reactor.
  static constexpr std::chrono::seconds kInterval{1};
  // Silent for longer, a thread is stuck: a reactor owes a VMM its answer in 10 ms, and a machine that is short of CPU
  // leaves nobody waiting for seconds.
  static constexpr std::chrono::seconds kStuck{5};
  // A front-end can make a reactor wait (VmmEventFd). Such a wait is broken when it has lasted for this, and looked for
  // as often: a multiple of what is owed to a VMM, and rare enough to cost nothing.
  static constexpr std::chrono::milliseconds kLongestWait{100};
  // Upper bounds of the classes in which the way of a message is counted.
  static constexpr std::array<std::chrono::nanoseconds, 7> kClasses{
      std::chrono::microseconds(100), std::chrono::milliseconds(1),   std::chrono::milliseconds(5),
      std::chrono::milliseconds(10),  std::chrono::milliseconds(100), std::chrono::milliseconds(1000),
      std::chrono::milliseconds(5000)};

  // What is known of one reactor.
  struct ReactorFigures {
    std::chrono::nanoseconds silent_for{0};  // its last message is under way since
    DurationCounts delays;                   // of messages that arrived
  };

  struct Times {
    std::chrono::nanoseconds interval = kInterval;
    std::chrono::nanoseconds stuck = kStuck;
  };

  // Both outlive this object.
  Heartbeat(EventLoop& main, ReactorPool& pool, const Times& times);
  Heartbeat(EventLoop& main, ReactorPool& pool) : Heartbeat(main, pool, Times()) {}
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // How long ago the main thread went round last.
  std::chrono::nanoseconds main_silent_for() const;
  std::vector<ReactorFigures> reactors() const;
  bool is_stuck(std::chrono::nanoseconds silent_for) const { return silent_for > times_.stuck; }
  // Nobody is.
  bool all_alive() const;
  // No reactor is.
  bool reactors_alive() const;

  // Calls `on_change` now, and whenever reactors_alive() has become another, as far as one look a second sees that. On
  // the main thread; null: nobody any more.
  void WatchReactors(std::function<void(bool alive)> on_change);

 private:
  struct Pulse {
    std::atomic<int64_t> asked_at{0};             // nanoseconds of the monotonic clock; 0: no message is under way
    DurationHistogram<Counter, kClasses> delays;  // the reactor's
  };
  struct State {
    explicit State(size_t reactors) : pulses(reactors) {}
    std::atomic<int64_t> main_at{0};
    std::vector<Pulse> pulses;
  };

  void Beat();
  void BreakWaits();
  static void Answer(Pulse& pulse);

  EventLoop& main_;
  ReactorPool& pool_;
  const Times times_;
  const std::shared_ptr<State> state_;  // messages that are under way hold it, too
  EventLoop::TimerId timer_;
  EventLoop::TimerId wait_timer_;
  std::function<void(bool)> on_change_;
  bool told_alive_ = true;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_HEARTBEAT_H_
