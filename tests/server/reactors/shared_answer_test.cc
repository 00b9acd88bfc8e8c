// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/shared_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

class SharedAnswerTest : public ::testing::Test {
 protected:
  void Get() {
    shared_.Get([this](int answer) { told_.push_back(answer); });
  }
  // The one who was asked answers after so long.
  void Answer(milliseconds after) {
    clock_.Advance(after);
    std::exchange(answer_, nullptr)(asked_);
  }
  void Pass(milliseconds time) {
    clock_.Advance(time);
    loop_.RunOnce(milliseconds(0));
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  int asked_ = 0;
  absl::AnyInvocable<void(int)> answer_;
  std::vector<int> told_;
  SharedAnswer<int> shared_{loop_, [this](absl::AnyInvocable<void(int)> answer) {
                              ++asked_;
                              answer_ = std::move(answer);
                            }};
};

TEST_F(SharedAnswerTest, HoweverManyAskItIsAskedOnceForThoseBeforeAndOnceForThoseAfter) {
  Get();
  for (int i = 0; i < 1000; ++i) Get();
  EXPECT_EQ(asked_, 1);
  Answer(milliseconds(0));
  EXPECT_THAT(told_, ElementsAre(1));
  EXPECT_EQ(asked_, 2) << "the others asked after the first question was under way";
  Answer(milliseconds(0));
  EXPECT_EQ(told_.size(), 1001u);
  EXPECT_EQ(asked_, 2);
}

TEST_F(SharedAnswerTest, WhatTakesLongIsNotAskedAgainAtOnce) {
  Get();
  Answer(milliseconds(20));
  Get();
  EXPECT_EQ(asked_, 1);
  Pass(milliseconds(179));
  EXPECT_EQ(asked_, 1);
  Pass(milliseconds(1));
  EXPECT_EQ(asked_, 2);
  Answer(milliseconds(0));
  EXPECT_THAT(told_, ElementsAre(1, 2));
}

TEST_F(SharedAnswerTest, NobodyWaitsMoreThanASecondForTheQuestion) {
  Get();
  Answer(milliseconds(5000));
  Get();
  Pass(milliseconds(1000));
  EXPECT_EQ(asked_, 2);
}

}  // namespace
}  // namespace kinsock
