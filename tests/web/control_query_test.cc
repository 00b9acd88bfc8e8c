// SPDX-License-Identifier: Apache-2.0
#include "web/control_query.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

namespace kinsock {
namespace {

using Done = absl::AnyInvocable<void(int)>;

TEST(ControlQueryTest, AMainThreadThatIsStuckIsAskedOnceAndToldOfAtOnce) {
  EventLoop main;
  ControlQuery query(main, std::chrono::milliseconds(10));
  int asked = 0;
  const auto ask = [&] {
    return query.Ask<int>([&](Done done) {
      ++asked;
      done(7);
    });
  };
  // All on this thread: main cannot answer while it waits.
  EXPECT_EQ(ask(), std::nullopt);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(), std::nullopt);
  while (main.RunOnce()) {
  }
  EXPECT_EQ(asked, 1) << "no heap of questions";
}

TEST(ControlQueryTest, AfterThatItIsAskedAgain) {
  EventLoop main;
  ControlQuery query(main, std::chrono::seconds(60));
  ControlQuery hasty(main, std::chrono::milliseconds(10));
  const auto question = [](Done done) { done(7); };
  EXPECT_EQ(hasty.Ask<int>(question), std::nullopt);
  while (main.RunOnce()) {
  }
  std::atomic<bool> done{false};
  std::optional<int> answer;
  std::thread asker([&] {
    answer = query.Ask<int>(question);
    done = true;
    main.Post([] {});
  });
  while (!done) main.RunOnce(std::chrono::milliseconds(1000));
  asker.join();
  EXPECT_EQ(answer, 7);
  // What was overdue has been answered: the next question is asked, and not refused unasked.
  int asked = 0;
  hasty.Ask<int>([&](Done then) {
    ++asked;
    then(1);
  });
  while (main.RunOnce()) {
  }
  EXPECT_EQ(asked, 1);
}

TEST(ControlQueryTest, AnAnswerMayComeLater) {
  EventLoop main;
  ControlQuery query(main, std::chrono::seconds(60));
  std::atomic<bool> done{false};
  std::optional<int> answer;
  std::thread asker([&] {
    answer = query.Ask<int>([&main](Done then) {
      main.RunAfter(std::chrono::milliseconds(1), [then = std::move(then)]() mutable { then(8); });
    });
    done = true;
    main.Post([] {});
  });
  while (!done) main.RunOnce(std::chrono::milliseconds(1000));
  asker.join();
  EXPECT_EQ(answer, 8);
}

}  // namespace
}  // namespace kinsock
