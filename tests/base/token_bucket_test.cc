// SPDX-License-Identifier: Apache-2.0
#include "base/token_bucket.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace kinsock {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr MonotonicTime kStart{hours(1)};

TokenBucket Bucket(uint64_t per_second, uint64_t burst) {
  TokenBucket bucket;
  bucket.SetRate({per_second, burst}, kStart);
  return bucket;
}

// Takes one after the other until none is left.
uint64_t Drain(TokenBucket& bucket) {
  uint64_t taken = 0;
  for (; !bucket.Spent(); ++taken) bucket.Spend(1);
  return taken;
}

TEST(TokenBucketTest, WithoutALimitNothingIsEverSpent) {
  TokenBucket bucket;
  bucket.Spend(uint64_t{1} << 62);
  EXPECT_FALSE(bucket.limited());
  EXPECT_FALSE(bucket.Spent());
  EXPECT_EQ(bucket.AtMost(UINT32_MAX), UINT32_MAX);
  EXPECT_EQ(bucket.TimeToRefill(), nanoseconds(0));
}

TEST(TokenBucketTest, ItBeginsFullAndTimeFillsItAgainUpToTheBurst) {
  TokenBucket bucket = Bucket(100, 20);
  EXPECT_EQ(Drain(bucket), 20u);
  bucket.Refill(kStart + milliseconds(50));
  EXPECT_EQ(Drain(bucket), 5u);
  bucket.Refill(kStart + hours(1000));
  EXPECT_EQ(Drain(bucket), 20u);
}

TEST(TokenBucketTest, ManySmallRefillsAreWorthOneLargeOne) {
  TokenBucket bucket = Bucket(3, 3);
  uint64_t taken = Drain(bucket);
  for (int i = 1; i <= 100'000; ++i) {
    bucket.Refill(kStart + i * milliseconds(1) / 10);
    taken += Drain(bucket);
  }
  EXPECT_EQ(taken, 3u + 30u);  // in ten seconds
}

TEST(TokenBucketTest, WhatWasTakenTooMuchIsPaidBack) {
  TokenBucket bucket = Bucket(1000, 100);
  bucket.Spend(1100);
  bucket.Refill(kStart + milliseconds(999));
  EXPECT_TRUE(bucket.Spent());
  bucket.Refill(kStart + milliseconds(1010));
  EXPECT_EQ(Drain(bucket), 10u);
}

TEST(TokenBucketTest, AfterTheTimeThatItNamesThereIsSomething) {
  for (const uint64_t rate : {uint64_t{1}, uint64_t{7}, uint64_t{1'000'000}, Rate::kMax}) {
    TokenBucket bucket = Bucket(rate, std::max<uint64_t>(rate / 100, 1));
    bucket.Spend(std::max<uint64_t>(rate / 100, 1) + 3);
    ASSERT_TRUE(bucket.Spent()) << rate;
    const nanoseconds wait = bucket.TimeToRefill();
    EXPECT_GT(wait, nanoseconds(0)) << rate;
    bucket.Refill(kStart + wait);
    EXPECT_FALSE(bucket.Spent()) << rate;
  }
}

TEST(TokenBucketTest, AnotherRateForgivesNothing) {
  TokenBucket bucket = Bucket(1000, 1000);
  bucket.Spend(1500);
  bucket.SetRate({100, 100}, kStart);
  bucket.Refill(kStart + seconds(5));
  EXPECT_TRUE(bucket.Spent());
  bucket.Refill(kStart + seconds(5) + milliseconds(10));
  EXPECT_EQ(Drain(bucket), 1u);
}

TEST(TokenBucketTest, ASmallerBurstTakesAwayWhatWasSaved) {
  TokenBucket bucket = Bucket(1000, 1000);
  bucket.SetRate({1000, 10}, kStart);
  EXPECT_EQ(Drain(bucket), 10u);
}

TEST(TokenBucketTest, TheSameRateAgainChangesNothing) {
  TokenBucket bucket = Bucket(10, 10);
  Drain(bucket);
  bucket.SetRate({10, 10}, kStart);
  EXPECT_TRUE(bucket.Spent());
}

TEST(TokenBucketTest, NoMoreIsOfferedThanIsLeft) {
  TokenBucket bucket = Bucket(1000, 100);
  EXPECT_EQ(bucket.AtMost(70), 70u);
  bucket.Spend(60);
  EXPECT_EQ(bucket.AtMost(70), 40u);
}

}  // namespace
}  // namespace kinsock
