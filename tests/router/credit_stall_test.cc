// SPDX-License-Identifier: Apache-2.0
#include "router/credit_stall.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace kinsock {
namespace {

using std::chrono::seconds;

TEST(CreditStallTest, LastsFromItsBeginningToItsEnd) {
  const MonotonicTime start{};
  CreditStall stall;
  EXPECT_FALSE(stall.MayEnd());
  EXPECT_TRUE(stall.Begin(start));
  EXPECT_TRUE(stall.MayEnd());
  EXPECT_EQ(stall.total(start + seconds(2)), seconds(2)) << "one under way counts";
  EXPECT_EQ(stall.End(start + seconds(3)), seconds(3));
  EXPECT_EQ(stall.total(start + seconds(9)), seconds(3));
  EXPECT_EQ(stall.count(), 1u);
}

TEST(CreditStallTest, HasOneBeginningAndOneEnd) {
  const MonotonicTime start{};
  CreditStall stall;
  EXPECT_EQ(stall.End(start), std::nullopt);
  EXPECT_TRUE(stall.Begin(start));
  EXPECT_FALSE(stall.Begin(start + seconds(1)));
  EXPECT_EQ(stall.End(start + seconds(2)), seconds(2));
  EXPECT_EQ(stall.End(start + seconds(3)), std::nullopt);
  EXPECT_TRUE(stall.Begin(start + seconds(4)));
  EXPECT_EQ(stall.End(start + seconds(5)), seconds(1));
  EXPECT_EQ(stall.count(), 2u);
  EXPECT_EQ(stall.total(start + seconds(9)), seconds(3));
}

// A sender that uses up each grant, and a receiver that grants the next as soon as it sees that: whichever of the two
// is late, no stall outlives the grant that ends it.
TEST(CreditStallTest, AGrantThatCrossesTheBeginningIsNotMissed) {
  constexpr int kGrants = 5000;
  CreditStall stall;
  std::atomic<int> used{0}, granted{0}, seen{0};
  std::thread receiver([&] {
    for (int grant = 1; grant <= kGrants; ++grant) {
      while (used.load(std::memory_order_relaxed) < grant) std::this_thread::yield();
      granted.store(grant, std::memory_order_relaxed);
      if (stall.MayEnd()) stall.End(Clock::Monotonic().Now());
      seen.store(grant, std::memory_order_release);
    }
  });
  int missed = 0;
  for (int grant = 1; grant <= kGrants; ++grant) {
    used.store(grant, std::memory_order_relaxed);
    stall.Begin(Clock::Monotonic().Now());
    if (granted.load(std::memory_order_relaxed) >= grant) stall.End(Clock::Monotonic().Now());
    while (seen.load(std::memory_order_acquire) < grant) std::this_thread::yield();
    missed += stall.End(Clock::Monotonic().Now()).has_value() ? 1 : 0;
  }
  receiver.join();
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace kinsock
