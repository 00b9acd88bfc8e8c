// SPDX-License-Identifier: Apache-2.0
#include "base/allowance.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kinsock {
namespace {

using std::chrono::seconds;

TEST(AllowanceTest, SoManyAtOnceThenOneInEachInterval) {
  Allowance allowance(3, seconds(4));
  MonotonicTime now{seconds(1000)};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.Take(now));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(allowance.Take(now));
  EXPECT_EQ(allowance.TakeSuppressed(), 10u);
  EXPECT_EQ(allowance.TakeSuppressed(), 0u) << "each is told of once";
  now += seconds(3);
  EXPECT_FALSE(allowance.Take(now));
  now += seconds(1);
  EXPECT_TRUE(allowance.Take(now));
  EXPECT_FALSE(allowance.Take(now));
  EXPECT_EQ(allowance.TakeSuppressed(), 2u);
}

TEST(AllowanceTest, ALongSilenceFillsItAndNoMore) {
  Allowance allowance(3, seconds(4));
  MonotonicTime now{seconds(1000)};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.Take(now));
  now += seconds(4000);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.Take(now));
  EXPECT_FALSE(allowance.Take(now));
}

}  // namespace
}  // namespace kinsock
