// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

// Descriptors served between two looks at timers and messages: enough to amortise the system call, few enough
// that a message waits no longer than a handful of handlers.
constexpr int kBatch = 64;

// The first look after a sleep that was too short to have been worth it. A ring is refilled in a few microseconds.
constexpr std::chrono::nanoseconds kFirstSpin{8'000};

// Between two looks at the descriptors while spinning: a look costs a system call, the pollers only a load each.
constexpr std::chrono::nanoseconds kDescriptorLook{2'000};

MonotonicTime RealTime() { return Clock::Monotonic().Now(); }

epoll_event Interest(uint32_t events, FdHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  return event;
}

}  // namespace

std::shared_ptr<Wakeup> Wakeup::Create(EventLoop& loop, Callback callback) {
  return std::shared_ptr<Wakeup>(new Wakeup(loop, std::move(callback)));
}

void Wakeup::Notify() {
  if (!pending_.exchange(true, std::memory_order_acq_rel)) loop_.Enqueue(*this);
}

void Wakeup::Run() {
  // Cleared first: what is notified from here on wants another run.
  pending_.exchange(false, std::memory_order_acq_rel);
  if (callback_) callback_();
}

// Swallows the count of the wake-up eventfd.
class EventLoop::WakeFd final : public FdHandler {
 public:
  explicit WakeFd(int fd) : fd_(fd) {}
  void OnReady(uint32_t) override {
    eventfd_t count;
    eventfd_read(fd_, &count);
  }

 private:
  int fd_;
};

EventLoop::EventLoop(const Clock& clock)
    : clock_(clock), epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  // Without these two the process cannot serve anything; there is nobody yet to report to.
  if (!epoll_.valid() || !wake_.valid()) std::abort();
  wake_handler_ = std::make_unique<WakeFd>(wake_.get());
  if (!Watch(wake_.get(), EPOLLIN, *wake_handler_).ok()) std::abort();
  thread_.BindToCurrentThread();
  now_ = clock_.Now();
  last_round_.store(now_.time_since_epoch().count(), std::memory_order_relaxed);
}

EventLoop::~EventLoop() {
  Wakeup* wakeup = wakeups_.exchange(nullptr, std::memory_order_acquire);
  while (wakeup != nullptr) {
    std::shared_ptr<Wakeup> last = std::move(wakeup->keep_alive_);
    wakeup = wakeup->next_;
  }
}

void EventLoop::Run() {
  thread_.BindToCurrentThread();
  while (!stopping_.load(std::memory_order_acquire)) RunOnce(std::chrono::milliseconds::max());
  // What the last round has left, then what was posted since.
  if (!taken_.empty()) ServeTasks(std::chrono::nanoseconds::max());
  ServeTasks(std::chrono::nanoseconds::max());
  stopping_.store(false, std::memory_order_release);
}

bool EventLoop::RunOnce(std::chrono::milliseconds patience) {
  bool served = ServeDescriptors(patience);
  served |= ServeTasks(kTaskTime);
  served |= ServeWakeups();
  served |= ServeTimers();
  return served;
}

void EventLoop::Stop() {
  stopping_.store(true, std::memory_order_release);
  WakeIfAsleep();
  eventfd_write(wake_.get(), 1);
}

void EventLoop::Post(Task task) {
  {
    MutexLock lock(tasks_mutex_);
    tasks_.push_back(std::move(task));
    has_tasks_.store(true, std::memory_order_seq_cst);
  }
  WakeIfAsleep();
}

void EventLoop::Enqueue(Wakeup& wakeup) {
  wakeup.keep_alive_ = wakeup.shared_from_this();
  Wakeup* head = wakeups_.load(std::memory_order_relaxed);
  do {
    wakeup.next_ = head;
  } while (!wakeups_.compare_exchange_weak(head, &wakeup, std::memory_order_seq_cst, std::memory_order_relaxed));
  WakeIfAsleep();
}

// Pairs with ServeDescriptors(): the sender queues, then looks whether the loop sleeps; the loop says that it
// will sleep, then looks into the queues. Sequential consistency makes at least one of them see the other.
void EventLoop::WakeIfAsleep() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false, std::memory_order_seq_cst)) {
    eventfd_write(wake_.get(), 1);
  }
}

EventLoop::Activity EventLoop::activity() const {
  return {.sleeps = sleeps_.value(),
          .last_round = MonotonicTime(MonotonicTime::duration(last_round_.load(std::memory_order_relaxed))),
          .asleep = asleep_.load(std::memory_order_relaxed)};
}

bool EventLoop::HasMessages() const {
  return !taken_.empty() || wakeups_.load(std::memory_order_seq_cst) != nullptr ||
         has_tasks_.load(std::memory_order_seq_cst);
}

absl::Status EventLoop::Watch(int fd, uint32_t events, FdHandler& handler) {
  epoll_event event = Interest(events, handler);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("epoll refuses descriptor ", fd));
}

void EventLoop::Rearm(int fd, uint32_t events, FdHandler& handler) {
  epoll_event event = Interest(events, handler);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Forget(int fd, FdHandler& handler) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  ForgetClosing(handler);
}

void EventLoop::ForgetClosing(FdHandler& handler) {
  for (int i = 0; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == &handler) batch_[i].data.ptr = nullptr;
  }
}

EventLoop::TimerId EventLoop::RunAfter(std::chrono::nanoseconds delay, Task task) {
  TimerId id(clock_.Now() + std::chrono::duration_cast<MonotonicTime::duration>(delay), next_timer_++);
  timers_.emplace(id, std::move(task));
  return id;
}

void EventLoop::Cancel(TimerId timer) { timers_.erase(timer); }

int EventLoop::WaitMillis(std::chrono::milliseconds patience) const {
  if (!timers_.empty()) {
    const auto left = timers_.begin()->first.first - clock_.Now();
    // Rounded up: woken a moment early, the loop would spin until the timer is due.
    patience = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0), patience);
  }
  if (patience == std::chrono::milliseconds::max()) return -1;
  return static_cast<int>(std::min<int64_t>(patience.count(), 1 << 30));
}

bool EventLoop::Poll(Poller& poller) {
  if (spin_.count() == 0) return false;
  const auto it = std::find_if(pollers_.begin(), pollers_.end(), [&](const Polled& p) { return p.poller == &poller; });
  if (it == pollers_.end()) {
    pollers_.push_back({&poller, RealTime()});
  } else {
    it->worked_at = RealTime();
  }
  return true;
}

void EventLoop::Unpoll(Poller& poller) {
  const auto it = std::find_if(pollers_.begin(), pollers_.end(), [&](const Polled& p) { return p.poller == &poller; });
  if (it == pollers_.end()) return;
  std::swap(*it, pollers_.back());
  pollers_.pop_back();
}

// Looks for work for as long as the last sleeps have taught. True if there was some: it has been done, or is to be
// found in the descriptors or messages.
bool EventLoop::Spin() {
  if (spin_.count() == 0) return false;
  MonotonicTime now = RealTime();
  MonotonicTime worked_at = now;
  MonotonicTime looked_at = now;
  while (now - worked_at < spin_) {
    const MonotonicTime began = now;
    const bool worked = PollAll(now);
    now = RealTime();
    if (worked) {
      worked_at = now;
      rounds_.Add(now - began);
    }
    if (HasMessages()) return true;
    if (now - looked_at < kDescriptorLook) continue;
    looked_at = now;
    // Whether epoll_wait() would find something; what it is stays there, edges included.
    pollfd readable{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, 0) > 0 || worked) return true;
  }
  return false;
}

// One look at each. Those that have had no work for long enough get their rest: what they withhold while they are
// looked at must not wait until the others have none either.
bool EventLoop::PollAll(MonotonicTime now) {
  bool worked = false;
  for (size_t i = 0; i < pollers_.size(); ++i) {
    Poller& poller = *pollers_[i].poller;
    if (poller.Poll()) {
      worked = true;
      if (i < pollers_.size() && pollers_[i].poller == &poller) pollers_[i].worked_at = now;
    } else if (now - pollers_[i].worked_at >= spin_) {
      Unpoll(poller);
      worked |= poller.Rest();
    }
  }
  return worked;
}

bool EventLoop::RestPollers() {
  bool worked = false;
  for (const Polled& polled : std::exchange(pollers_, {})) worked |= polled.poller->Rest();
  return worked;
}

// As a hypervisor polls before it halts a virtual CPU: a sleep that a longer look would have spared makes it longer,
// one that no look could have spared ends the looking.
void EventLoop::LearnFromSleep(std::chrono::nanoseconds slept) {
  if (slept > max_spin_) {
    spin_ = std::chrono::nanoseconds(0);
  } else if (slept > spin_) {
    spin_ = std::min(std::max(2 * spin_, kFirstSpin), max_spin_);
  }
}

bool EventLoop::ServeDescriptors(std::chrono::milliseconds patience) {
  std::array<epoll_event, kBatch> events;
  int wait = WaitMillis(patience);
  if (wait != 0 && (Spin() || RestPollers())) wait = 0;
  if (wait != 0) {
    asleep_.store(true, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (HasMessages() || stopping_.load(std::memory_order_acquire)) wait = 0;
  }
  if (wait != 0) sleeps_.Add();
  const bool sleeps = wait != 0 && max_spin_.count() > 0;
  const MonotonicTime fell_asleep = sleeps ? RealTime() : MonotonicTime();
  const int ready = epoll_wait(epoll_.get(), events.data(), kBatch, wait);
  if (sleeps) LearnFromSleep(RealTime() - fell_asleep);
  asleep_.store(false, std::memory_order_relaxed);
  now_ = clock_.Now();
  last_round_.store(now_.time_since_epoch().count(), std::memory_order_relaxed);
  if (ready <= 0) return false;

  batch_ = events.data();
  batch_size_ = ready;
  for (int i = 0; i < ready; ++i) {
    if (events[i].data.ptr != nullptr) static_cast<FdHandler*>(events[i].data.ptr)->OnReady(events[i].events);
  }
  batch_size_ = 0;
  return true;
}

bool EventLoop::ServeTimers() {
  bool served = false;
  // Timers are the last in a round: one look at the clock serves for both, unless some of them ran.
  const MonotonicTime now = clock_.Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
    served = true;
  }
  rounds_.Add((served ? clock_.Now() : now) - now_);
  return served;
}

bool EventLoop::ServeWakeups() {
  Wakeup* newest = wakeups_.exchange(nullptr, std::memory_order_seq_cst);
  Wakeup* oldest = nullptr;
  while (newest != nullptr) {  // back into the order in which they came
    Wakeup* next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  const bool served = oldest != nullptr;
  while (oldest != nullptr) {
    Wakeup* next = oldest->next_;
    std::shared_ptr<Wakeup> current = std::move(oldest->keep_alive_);
    current->Run();
    oldest = next;
  }
  return served;
}

// What tasks post is for the next round.
bool EventLoop::ServeTasks(std::chrono::nanoseconds time) {
  if (taken_.empty()) {
    if (!has_tasks_.load(std::memory_order_seq_cst)) return false;
    MutexLock lock(tasks_mutex_);
    taken_.swap(tasks_);
    has_tasks_.store(false, std::memory_order_relaxed);
  }
  const MonotonicTime began = clock_.Now();
  while (!taken_.empty()) {
    // Taken out first: it may run the loop itself.
    Task task = std::move(taken_.front());
    taken_.pop_front();
    task();
    if (clock_.Now() - began >= time) break;
  }
  return true;
}

}  // namespace kinsock
