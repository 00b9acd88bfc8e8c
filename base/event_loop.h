// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_EVENT_LOOP_H_
#define KINSOCK_BASE_EVENT_LOOP_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/duration_histogram.h"
#include "base/mutex.h"
#include "base/thread_affinity.h"
#include "base/unique_fd.h"

struct epoll_event;

namespace kinsock {

class EventLoop;

// What an event loop calls when a descriptor is ready. Not owned by the loop; take the descriptor out with
// Forget() before this goes.
class FdHandler {
 public:
  // `events` are EPOLL* bits. On the loop's thread.
  virtual void OnReady(uint32_t events) = 0;

 protected:
  ~FdHandler() = default;
};

// A message without a body that any thread can send to an object of a loop, as often as it likes: several sent
// before the loop gets to it are one. Costs no allocation, and no system call while the loop is awake.
class Wakeup : public std::enable_shared_from_this<Wakeup> {
 public:
  using Callback = absl::AnyInvocable<void()>;

  // `callback` runs on the thread of `loop`, which must outlive the Wakeup.
  static std::shared_ptr<Wakeup> Create(EventLoop& loop, Callback callback);

  // Any thread.
  void Notify();

  // The loop's thread: `callback` is dropped and never runs again, even when a notification is under way.
  void Disarm() { callback_ = nullptr; }

 private:
  friend class EventLoop;
  Wakeup(EventLoop& loop, Callback callback) : loop_(loop), callback_(std::move(callback)) {}
  void Run();

  EventLoop& loop_;
  Callback callback_;
  std::atomic<bool> pending_{false};
  std::shared_ptr<Wakeup> keep_alive_;  // set while queued
  Wakeup* next_ = nullptr;
};

// A source of work that can be looked at instead of telling: memory that somebody else writes. The loop looks at it
// while it spins, which is cheaper for both than to be told.
class Poller {
 public:
  // Does what there is to do now. True if there was anything. On the loop's thread.
  virtual bool Poll() = 0;
  // The loop looks no more at this poller, and has forgotten it: asks to be told from now on. True if there is
  // something to do after all, which has been seen to.
  virtual bool Rest() = 0;

 protected:
  ~Poller() = default;
};

// An epoll loop: descriptors, timers, and messages from other threads. One thread runs it; unless a comment
// says otherwise, that thread alone calls.
//
// Before it sleeps, the loop may look for work for a short while (set_max_spin). How long depends on what it has found
// out: a sleep that ends soon makes the next look longer, one that lasts makes it end altogether, so that a loop with
// nothing to do costs nothing.
class EventLoop {
 public:
  using Task = absl::AnyInvocable<void()>;
  using TimerId = std::pair<MonotonicTime, uint64_t>;

  explicit EventLoop(const Clock& clock = Clock::Monotonic());
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Serves until Stop(). The calling thread owns the loop from here on.
  void Run();

  // Serves what is ready now and returns; waits for it up to `patience`. True if anything was served.
  bool RunOnce(std::chrono::milliseconds patience = std::chrono::milliseconds(0));

  // Any thread: Run() returns after the round it is in; tasks posted before are still served.
  void Stop();

  // Any thread: `task` runs on the loop's thread, in the order of posting. Tasks that are left when the loop
  // is destroyed are destroyed unrun.
  void Post(Task task);

  // How long tasks run in one round, however many have been posted: then descriptors, wakeups and timers have their
  // turn, which so wait for this and one task more. The others run in the rounds that follow, without a sleep between.
  static constexpr std::chrono::milliseconds kTaskTime{5};

  // Calls `handler` when `fd` has any of `events` (EPOLL* bits). RESOURCE_EXHAUSTED when the kernel refuses.
  absl::Status Watch(int fd, uint32_t events, FdHandler& handler);
  // Changes the interest; zero keeps the descriptor but reports only EPOLLERR and EPOLLHUP.
  void Rearm(int fd, uint32_t events, FdHandler& handler);
  // Ends the interest: no call to `handler` for `fd` follows, even if it was ready already. Before close().
  void Forget(int fd, FdHandler& handler);
  // The same for a descriptor that the caller closes next and of which there is no duplicate: that ends the kernel's
  // interest without a system call of its own.
  void ForgetClosing(FdHandler& handler);

  // The longest that the loop looks for work before it sleeps; zero, the default, is never.
  void set_max_spin(std::chrono::nanoseconds max_spin) { max_spin_ = max_spin; }
  // Has `poller` looked at until it has had no work for as long as the loop spins, or the loop sleeps; then it gets
  // Rest(), whatever the others do. False: the loop does not spin at present, ask to be told. Not owned; Unpoll()
  // before it goes.
  bool Poll(Poller& poller);
  void Unpoll(Poller& poller);

  // Runs `task` once, not before `delay` from now has passed.
  TimerId RunAfter(std::chrono::nanoseconds delay, Task task);
  // Drops a timer; harmless if it ran already.
  void Cancel(TimerId timer);

  // The time at which the present round began.
  MonotonicTime now() const { return now_; }
  // What it goes by. Any thread.
  const Clock& clock() const { return clock_; }

  // What can be seen of the loop from outside while it runs. Any thread.
  struct Activity {
    uint64_t sleeps = 0;       // times that it found nothing to do and slept
    MonotonicTime last_round;  // when its last round began; an idle loop begins none
    bool asleep = false;       // at this moment: it has nothing to do
  };
  Activity activity() const;

  // How long rounds took, and looks at pollers that found work; waiting and looking in vain are not counted. Somebody
  // else's packet waits so long. Any thread.
  static constexpr std::array<std::chrono::nanoseconds, 8> kRoundTimes{
      std::chrono::microseconds(10), std::chrono::microseconds(100), std::chrono::milliseconds(1),
      std::chrono::milliseconds(5),  std::chrono::milliseconds(10),  std::chrono::milliseconds(100),
      std::chrono::seconds(1),       std::chrono::seconds(5)};
  DurationCounts rounds() const { return rounds_.Read(); }

  const ThreadAffinity& thread() const { return thread_; }

 private:
  friend class Wakeup;
  class WakeFd;

  void Enqueue(Wakeup& wakeup);
  void WakeIfAsleep();
  int WaitMillis(std::chrono::milliseconds patience) const;
  struct Polled {
    Poller* poller;
    MonotonicTime worked_at;  // or registered
  };

  bool Spin();
  bool PollAll(MonotonicTime now);
  bool RestPollers();
  void LearnFromSleep(std::chrono::nanoseconds slept);
  bool ServeDescriptors(std::chrono::milliseconds patience);
  bool ServeTimers();
  bool ServeWakeups();
  bool ServeTasks(std::chrono::nanoseconds time);
  bool HasMessages() const;

  const Clock& clock_;
  ThreadAffinity thread_;
  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd: a message came while the loop slept
  std::unique_ptr<WakeFd> wake_handler_;
  std::atomic<bool> asleep_{false};  // the loop is, or is about to be, in epoll_wait
  std::atomic<bool> stopping_{false};
  MonotonicTime now_;
  std::atomic<MonotonicTime::rep> last_round_{0};  // now_, for others to see
  Counter sleeps_;
  DurationHistogram<Counter, kRoundTimes> rounds_;

  std::atomic<Wakeup*> wakeups_{nullptr};  // newest first
  Mutex tasks_mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(tasks_mutex_);
  std::atomic<bool> has_tasks_{false};  // written under the lock
  std::deque<Task> taken_;              // the loop's: what has been taken out of tasks_, and has not run yet

  std::map<TimerId, Task> timers_;
  uint64_t next_timer_ = 0;

  std::chrono::nanoseconds max_spin_{0};
  std::chrono::nanoseconds spin_{0};  // how long it looks at present
  std::vector<Polled> pollers_;

  epoll_event* batch_ = nullptr;  // the events being served, so that Forget() can strike them out
  int batch_size_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_EVENT_LOOP_H_
