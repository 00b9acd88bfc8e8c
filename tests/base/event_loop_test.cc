// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

class TurnedClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  MonotonicTime now{};
};

// Remembers what it was told, and does what the test says.
class Recorder final : public FdHandler {
 public:
  void OnReady(uint32_t events) override {
    seen.push_back(events);
    if (then) then();
  }
  std::vector<uint32_t> seen;
  std::function<void()> then;
};

TEST(EventLoopTest, TimersRunInTheirOrderAndNotEarly) {
  TurnedClock clock;
  EventLoop loop(clock);
  std::vector<int> ran;
  loop.RunAfter(seconds(2), [&] { ran.push_back(2); });
  loop.RunAfter(seconds(1), [&] { ran.push_back(1); });
  const EventLoop::TimerId cancelled = loop.RunAfter(seconds(1), [&] { ran.push_back(9); });
  loop.Cancel(cancelled);

  loop.RunOnce();
  EXPECT_THAT(ran, ElementsAre());
  clock.now += milliseconds(1500);
  loop.RunOnce();
  EXPECT_THAT(ran, ElementsAre(1));
  clock.now += seconds(1);
  loop.RunOnce();
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

TEST(EventLoopTest, RoundsAreTimedWithTheirTimersAndWithoutTheWaiting) {
  TurnedClock clock;
  EventLoop loop(clock);
  loop.RunOnce();
  EXPECT_THAT(loop.rounds().counts, ElementsAre(1, 0, 0, 0, 0, 0, 0, 0, 0));
  clock.now += seconds(100);
  loop.Post([&] { clock.now += milliseconds(50); });
  loop.RunOnce();
  EXPECT_THAT(loop.rounds().counts, ElementsAre(1, 0, 0, 0, 0, 1, 0, 0, 0));
  loop.RunAfter(seconds(0), [&] { clock.now += seconds(7); });
  loop.RunOnce();
  EXPECT_THAT(loop.rounds().counts, ElementsAre(1, 0, 0, 0, 0, 1, 0, 0, 1));
  EXPECT_EQ(loop.rounds().sum, milliseconds(7050));
}

TEST(EventLoopTest, PostedTasksRunInOrderOnTheLoopsThread) {
  EventLoop loop;
  std::vector<int> ran;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) loop.Post([&ran, i] { ran.push_back(i); });
    loop.Post([&loop] { loop.Stop(); });
  });
  loop.Run();
  other.join();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

// Others have their turn between the tasks of somebody who posts many.
TEST(EventLoopTest, ManyTasksHoldUpNeitherTimersNorDescriptors) {
  constexpr int kTasks = 10'000;
  TurnedClock clock;
  EventLoop loop(clock);
  std::vector<int> ran;
  for (int i = 0; i < kTasks; ++i) {
    loop.Post([&, i] {
      clock.now += milliseconds(1);
      ran.push_back(i);
    });
  }
  size_t before_the_timer = 0;
  loop.RunAfter(seconds(1), [&] { before_the_timer = ran.size(); });
  const UniqueFd fd(eventfd(1, EFD_NONBLOCK));
  Recorder handler;
  handler.then = [&] { ASSERT_EQ(eventfd_write(fd.get(), 1), 0); };
  ASSERT_TRUE(loop.Watch(fd.get(), EPOLLIN | EPOLLET, handler).ok());

  const auto of_a_round = static_cast<size_t>(EventLoop::kTaskTime / milliseconds(1));
  while (ran.size() < kTasks) {
    const size_t had = ran.size();
    ASSERT_TRUE(loop.RunOnce());
    ASSERT_LE(ran.size() - had, of_a_round);
  }
  EXPECT_GE(before_the_timer, 1000u);
  EXPECT_LE(before_the_timer, 1000u + of_a_round);
  EXPECT_GE(handler.seen.size(), kTasks / of_a_round);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end())) << "they run in the order of posting";
  EXPECT_EQ(loop.activity().sleeps, 0u);
}

TEST(EventLoopTest, WhatATaskPostsIsForTheNextRound) {
  EventLoop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop.Post([&] { again(); });
  };
  loop.Post([&] { again(); });
  loop.RunOnce();
  EXPECT_EQ(rounds, 1);
  loop.RunOnce();
  EXPECT_EQ(rounds, 2);
}

TEST(EventLoopTest, AStopServesWhatWasPostedBeforeItHoweverLongThatTakes) {
  TurnedClock clock;
  EventLoop loop(clock);
  int ran = 0;
  loop.Post([&] { loop.Stop(); });
  for (int i = 0; i < 100; ++i) {
    loop.Post([&] {
      clock.now += milliseconds(1);
      ++ran;
    });
  }
  loop.Post([&] { loop.Post([&] { ran += 1000; }); });
  loop.Run();
  EXPECT_EQ(ran, 1100) << "what was posted while the last round was under way, too";
}

TEST(EventLoopTest, AWakeupThatIsNotifiedOftenRunsOnce) {
  EventLoop loop;
  int ran = 0;
  const auto wakeup = Wakeup::Create(loop, [&] { ++ran; });
  for (int i = 0; i < 5; ++i) wakeup->Notify();
  loop.RunOnce();
  EXPECT_EQ(ran, 1);
  wakeup->Notify();
  loop.RunOnce();
  EXPECT_EQ(ran, 2);
}

TEST(EventLoopTest, ADisarmedWakeupStaysSilentEvenIfItWasUnderWay) {
  EventLoop loop;
  int ran = 0;
  auto wakeup = Wakeup::Create(loop, [&] { ++ran; });
  wakeup->Notify();
  wakeup->Disarm();
  wakeup.reset();
  loop.RunOnce();
  EXPECT_EQ(ran, 0);
}

// Two loops hand a token back and forth: a lost wake-up would stop it for good.
TEST(EventLoopTest, NoNotificationIsLostBetweenThreads) {
  constexpr int kRounds = 20'000;
  EventLoop here;
  EventLoop there;
  int rounds = 0;
  std::shared_ptr<Wakeup> back;
  const auto forth = Wakeup::Create(there, [&] { back->Notify(); });
  back = Wakeup::Create(here, [&] {
    if (++rounds < kRounds) return forth->Notify();
    there.Stop();
    here.Stop();
  });
  std::thread other([&] { there.Run(); });
  forth->Notify();
  here.Run();
  other.join();
  EXPECT_EQ(rounds, kRounds);
}

TEST(EventLoopTest, AForgottenDescriptorIsNotReportedEvenIfItWasReady) {
  EventLoop loop;
  const UniqueFd first(eventfd(1, EFD_NONBLOCK));
  const UniqueFd second(eventfd(1, EFD_NONBLOCK));
  Recorder one;
  Recorder two;
  ASSERT_TRUE(loop.Watch(first.get(), EPOLLIN, one).ok());
  ASSERT_TRUE(loop.Watch(second.get(), EPOLLIN, two).ok());
  // Both are ready in one batch; whoever comes first takes the other out.
  one.then = [&] { loop.Forget(second.get(), two); };
  two.then = [&] { loop.Forget(first.get(), one); };
  loop.RunOnce();
  EXPECT_EQ(one.seen.size() + two.seen.size(), 1u);
}

TEST(EventLoopTest, InterestCanBeChanged) {
  EventLoop loop;
  const UniqueFd fd(eventfd(1, EFD_NONBLOCK));
  Recorder handler;
  ASSERT_TRUE(loop.Watch(fd.get(), 0, handler).ok());
  EXPECT_FALSE(loop.RunOnce());
  loop.Rearm(fd.get(), EPOLLIN, handler);
  EXPECT_TRUE(loop.RunOnce());
  EXPECT_THAT(handler.seen, ElementsAre(static_cast<uint32_t>(EPOLLIN)));
}

TEST(EventLoopTest, ADescriptorThatCannotBeWatchedIsAnError) {
  EventLoop loop;
  Recorder handler;
  EXPECT_FALSE(loop.Watch(-1, EPOLLIN, handler).ok());
}

// Has work when the test says so.
class PolledSource final : public Poller {
 public:
  bool Poll() override {
    ++looks;
    if (work == 0) return false;
    --work;
    ++done;
    return true;
  }
  bool Rest() override {
    ++rests;
    return false;
  }
  int work = 0;
  int looks = 0;
  int done = 0;
  int rests = 0;
};

// A loop that has just learnt that it sleeps for shorter than it may spin.
void TeachToSpin(EventLoop& loop, std::chrono::nanoseconds max_spin) {
  loop.set_max_spin(max_spin);
  EventLoop* const sleeper = &loop;
  PolledSource source;
  while (!loop.Poll(source)) {
    std::thread other([sleeper] { sleeper->Post([] {}); });
    loop.RunOnce(seconds(60));
    other.join();
  }
  loop.Unpoll(source);
}

TEST(EventLoopTest, ALoopThatWasNotToldToSpinIsToldOfWork) {
  EventLoop loop;
  PolledSource source;
  EXPECT_FALSE(loop.Poll(source));
  loop.RunOnce();
  EXPECT_EQ(source.looks, 0);
}

TEST(EventLoopTest, WorkIsFoundByLookingForIt) {
  EventLoop loop;
  TeachToSpin(loop, seconds(60));
  PolledSource source;
  ASSERT_TRUE(loop.Poll(source));
  source.work = 1;
  loop.Post([] {});  // ends the look; without it the loop would look on for more
  loop.RunOnce(seconds(60));
  EXPECT_EQ(source.done, 1);
  EXPECT_EQ(source.rests, 0);
  loop.Unpoll(source);
}

TEST(EventLoopTest, MessagesAndDescriptorsAreServedWhereverTheyAreFound) {
  EventLoop loop;
  TeachToSpin(loop, seconds(60));
  int ran = 0;
  std::thread poster([&] { loop.Post([&] { ++ran; }); });
  while (ran == 0) loop.RunOnce(seconds(60));
  poster.join();

  const UniqueFd fd(eventfd(0, EFD_NONBLOCK));
  Recorder recorder;
  ASSERT_TRUE(loop.Watch(fd.get(), EPOLLIN | EPOLLET, recorder).ok());
  std::thread writer([&] { eventfd_write(fd.get(), 1); });
  while (recorder.seen.empty()) loop.RunOnce(seconds(60));
  writer.join();
  EXPECT_THAT(recorder.seen, ElementsAre(EPOLLIN));
}

TEST(EventLoopTest, BeforeItSleepsEveryPollerGetsItsRestOnce) {
  EventLoop loop;
  TeachToSpin(loop, std::chrono::microseconds(100));
  PolledSource one;
  PolledSource other;
  ASSERT_TRUE(loop.Poll(one));
  ASSERT_TRUE(loop.Poll(other));
  ASSERT_TRUE(loop.Poll(one));  // as often as it likes
  loop.RunOnce(milliseconds(1));
  loop.RunOnce(milliseconds(1));
  EXPECT_EQ(one.rests, 1);
  EXPECT_EQ(other.rests, 1);
}

// What a source withholds while it is looked at must not wait for a neighbour to run out of work.
TEST(EventLoopTest, ASourceWithoutWorkGetsItsRestBesideABusyOne) {
  EventLoop loop;
  TeachToSpin(loop, std::chrono::microseconds(100));
  PolledSource busy;
  PolledSource idle;
  busy.work = 50'000'000;  // more than it can do while the other waits
  ASSERT_TRUE(loop.Poll(busy));
  ASSERT_TRUE(loop.Poll(idle));
  while (idle.rests == 0 && busy.work > 0) loop.RunOnce(seconds(60));
  EXPECT_EQ(idle.rests, 1);
  EXPECT_GT(busy.work, 0);
  EXPECT_EQ(busy.rests, 0);
  loop.Unpoll(busy);
}

TEST(EventLoopTest, ALongSleepEndsTheSpinning) {
  EventLoop loop;
  TeachToSpin(loop, std::chrono::microseconds(100));
  loop.RunOnce(milliseconds(1));  // nothing comes
  PolledSource source;
  EXPECT_FALSE(loop.Poll(source));
}

TEST(EventLoopTest, WhatIsLeftIsDestroyedWithTheLoop) {
  auto held = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.Post([held] {});
    Wakeup::Create(loop, [held] {})->Notify();
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace kinsock
