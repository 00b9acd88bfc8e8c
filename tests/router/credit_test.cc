// SPDX-License-Identifier: Apache-2.0
#include "router/credit.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace kinsock {
namespace {

TEST(CreditTest, NothingMaySendBeforeTheFirstGrant) { EXPECT_EQ(Credit().room(), 0u); }

TEST(CreditTest, RoomIsTheGrantLessWhatIsUnderWay) {
  Credit credit;
  credit.Update(1000, 0);
  credit.Spend(300);
  EXPECT_EQ(credit.room(), 700u);
  credit.Update(1000, 300);
  EXPECT_EQ(credit.room(), 1000u);
}

TEST(CreditTest, AGrantBelowWhatIsUnderWayLeavesNoRoom) {
  Credit credit;
  credit.Update(1000, 0);
  credit.Spend(800);
  credit.Update(500, 0);
  EXPECT_EQ(credit.room(), 0u);
}

TEST(CreditTest, APeerThatClaimsToHaveConsumedTooMuchGainsNothing) {
  Credit credit;
  credit.Update(1000, 5000);  // nothing was ever sent
  EXPECT_EQ(credit.room(), 0u);
}

TEST(CreditTest, AnAbsurdGrantIsCutToTheLimit) {
  Credit credit;
  credit.Update(0xffff'ffff, 0);
  EXPECT_EQ(credit.room(), kMaxWindow);
}

// CVE-2026-23069: the difference of free-running counters underflowed. Against a model in 64 bits.
TEST(CreditTest, CountersWrapWithoutNotice) {
  std::mt19937 random(7);
  Credit credit;
  uint64_t sent = 0;
  uint64_t consumed = 0;
  constexpr uint32_t kWindow = 200'000;
  while (sent < (uint64_t{1} << 33)) {
    credit.Update(kWindow, static_cast<uint32_t>(consumed));
    ASSERT_EQ(credit.room(), kWindow - (sent - consumed));
    const uint32_t bytes = random() % (credit.room() + 1);
    credit.Spend(bytes);
    sent += bytes;
    consumed += random() % (sent - consumed + 1);
  }
}

TEST(CreditTest, NoCombinationGrantsMoreThanTheWindow) {
  std::mt19937 random(11);
  for (int i = 0; i < 1'000'000; ++i) {
    Credit credit;
    credit.Update(static_cast<uint32_t>(random()), static_cast<uint32_t>(random()));
    credit.Spend(static_cast<uint32_t>(random()));
    ASSERT_LE(credit.room(), kMaxWindow);
  }
}

}  // namespace
}  // namespace kinsock
