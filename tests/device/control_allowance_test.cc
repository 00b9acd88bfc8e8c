// SPDX-License-Identifier: Apache-2.0
#include "device/control_allowance.h"

#include <gtest/gtest.h>

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonotonicTime kBegin{seconds(1000)};
constexpr int64_t kBurst = 4000;

ControlAllowance Full() { return ControlAllowance(20'000, kBurst); }

// How much may be taken now.
int64_t Left(ControlAllowance allowance) {
  int64_t left = 0;
  for (; !allowance.spent(); ++left) allowance.Charge(1);
  return left;
}

ControlAllowance Spent() {
  ControlAllowance allowance = Full();
  allowance.Refill(kBegin, 0);
  allowance.Charge(kBurst);
  return allowance;
}

TEST(ControlAllowanceTest, BeginsFull) { EXPECT_EQ(Left(Full()), kBurst); }

TEST(ControlAllowanceTest, TimeFillsIt) {
  ControlAllowance allowance = Spent();
  EXPECT_TRUE(allowance.spent());
  allowance.Refill(kBegin + milliseconds(2), 0);
  EXPECT_EQ(Left(allowance), 40);
}

TEST(ControlAllowanceTest, MomentsThatAreTooShortForOneAddUp) {
  ControlAllowance allowance = Spent();
  for (int i = 1; i <= 100; ++i) allowance.Refill(kBegin + i * std::chrono::microseconds(10), 0);
  EXPECT_EQ(Left(allowance), 20);
}

TEST(ControlAllowanceTest, NeverHoldsMoreThanItsBurst) {
  ControlAllowance allowance = Full();
  allowance.Refill(kBegin + seconds(3600), 1'000'000);
  allowance.Earn(ControlAllowance::kPayload);
  EXPECT_EQ(Left(allowance), kBurst);
}

TEST(ControlAllowanceTest, WhatWasOverdrawnIsPaidFirst) {
  ControlAllowance allowance = Spent();
  allowance.Charge(100);
  allowance.Refill(kBegin + milliseconds(4), 0);
  EXPECT_TRUE(allowance.spent());
  allowance.Refill(kBegin + milliseconds(6), 0);
  EXPECT_EQ(Left(allowance), 20);
}

TEST(ControlAllowanceTest, WhatItWasSentCountsOnce) {
  ControlAllowance allowance = Spent();
  allowance.Refill(kBegin, 7);
  allowance.Refill(kBegin, 7);
  EXPECT_EQ(Left(allowance), 7);
  allowance.Refill(kBegin, 9);
  EXPECT_EQ(Left(allowance), 9);
}

// Two guests that ask each other for credit, and do not even answer, run out.
TEST(ControlAllowanceTest, TwoCannotPayEachOther) {
  ControlAllowance one = Spent();
  ControlAllowance other = Spent();
  one.Earn(1000);
  other.Earn(1000);
  uint64_t asked_one = 0;
  uint64_t asked_other = 0;
  int rounds = 0;
  for (; !one.spent() && !other.spent(); ++rounds) {
    ASSERT_LT(rounds, 1000);
    one.Charge(ControlAllowance::kCreditRequest);
    other.Refill(kBegin, asked_other += ControlAllowance::kAnswer);
    other.Charge(ControlAllowance::kCreditRequest);
    one.Refill(kBegin, asked_one += ControlAllowance::kAnswer);
  }
}

// A guest that only asks pays for who is asked.
TEST(ControlAllowanceTest, WhoIsAskedIsNotShortOfAnswers) {
  ControlAllowance asked = Spent();
  asked.Earn(1);
  for (uint64_t i = 1; i <= 10'000; ++i) {
    asked.Refill(kBegin, i * ControlAllowance::kAnswer);
    ASSERT_FALSE(asked.spent());
    asked.Charge(ControlAllowance::kPacket);  // its CREDIT_UPDATE
  }
}

}  // namespace
}  // namespace kinsock
