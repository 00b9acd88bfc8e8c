// SPDX-License-Identifier: Apache-2.0
#include "server/manager/cid_allocator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "server/status/error.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using testing::SimulatedClock;

class CidAllocatorTest : public ::testing::Test {
 protected:
  Cid Take(const CidRequest& request, const std::string& holder = "vms/a") {
    const absl::StatusOr<Cid> cid = cids_.Allocate(request, holder);
    EXPECT_TRUE(cid.ok()) << cid.status();
    return cid.value_or(0);
  }

  std::string Refusal(const CidRequest& request, const std::string& holder) {
    return ErrorReason(cids_.Allocate(request, holder).status());
  }

  SimulatedClock clock_;
  CidAllocator cids_{clock_};
};

TEST_F(CidAllocatorTest, AutomaticCidsComeOneAfterTheOther) {
  EXPECT_EQ(Take(CidRequest::Automatic()), CidAllocator::kFirstAutomatic);
  EXPECT_EQ(Take(CidRequest::Automatic()), CidAllocator::kFirstAutomatic + 1);
}

TEST_F(CidAllocatorTest, AFreedCidIsNotTheNextOneEvenWhenRested) {
  const Cid first = Take(CidRequest::Automatic());
  cids_.Release(first, "vms/a");
  clock_.Advance(CidAllocator::kRest);
  EXPECT_EQ(Take(CidRequest::Automatic()), first + 1);
}

TEST_F(CidAllocatorTest, HowFullItIsIsCounted) {
  using State = CidAllocator::Lease::State;
  CidAllocator cids(clock_, {.cids = {100, 199}, .reserved = {{150, 159}, {155, 164}, {195, 300}, {1, 20}}});
  EXPECT_EQ(cids.counts().range, 80u) << "without the reserved ranges, each once";
  ASSERT_TRUE(cids.Allocate(CidRequest::Automatic(), "vms/a").ok());
  ASSERT_TRUE(cids.Allocate(CidRequest::Fixed(150), "vms/b").ok());
  ASSERT_TRUE(cids.Allocate(CidRequest::Fixed(7), "vms/c").ok());
  ASSERT_TRUE(cids.Reserve(CidRequest::Automatic(), "somebody", std::chrono::minutes(5)).ok());
  EXPECT_EQ(cids.counts().of(State::kAllocated), 3u);
  EXPECT_EQ(cids.counts().of(State::kReserved), 1u);
  EXPECT_EQ(cids.counts().free, 78u) << "what somebody has chosen by hand elsewhere takes nothing away";

  cids.Release(100, "vms/a");
  EXPECT_EQ(cids.counts().of(State::kResting), 1u);
  EXPECT_EQ(cids.counts().free, 78u) << "nobody gets it yet";
  clock_.Advance(CidAllocator::kRest);
  EXPECT_EQ(cids.counts().free, 79u);

  cids.SetRules({.cids = {150, 159}});
  EXPECT_EQ(cids.counts().range, 10u);
  EXPECT_EQ(cids.counts().free, 9u);
}

TEST_F(CidAllocatorTest, TwoVmsNeverHaveOneCid) {
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/a"), 42u);
  const absl::Status refused = cids_.Allocate(CidRequest::Fixed(42), "vms/b").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorReason(refused), "CID_IN_USE");
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("vms/a"));
}

TEST_F(CidAllocatorTest, AutomaticSkipsWhatWasTakenByHand) {
  Take(CidRequest::Fixed(CidAllocator::kFirstAutomatic));
  Take(CidRequest::Fixed(CidAllocator::kFirstAutomatic + 1));
  EXPECT_EQ(Take(CidRequest::Automatic()), CidAllocator::kFirstAutomatic + 2);
}

TEST_F(CidAllocatorTest, AFreedCidRestsForAMinuteBeforeAnotherVmHasIt) {
  Take(CidRequest::Fixed(42), "vms/a");
  cids_.Release(42, "vms/a");
  EXPECT_EQ(cids_.resting(), 1u);
  const absl::Status refused = cids_.Allocate(CidRequest::Fixed(42), "vms/b").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(refused), "CID_QUARANTINED");

  clock_.Advance(CidAllocator::kRest - std::chrono::milliseconds(1));
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/b"), "CID_QUARANTINED");
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/b"), 42u);
  EXPECT_EQ(cids_.resting(), 0u);
}

TEST_F(CidAllocatorTest, TheVmThatHadItMayComeBackAtOnce) {
  Take(CidRequest::Fixed(42), "vms/a");
  cids_.Release(42, "vms/a");
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/a"), 42u);
  EXPECT_EQ(cids_.resting(), 0u);
  // It is a's again: the old rest does not free it under its feet.
  clock_.Advance(CidAllocator::kRest * 2);
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/b"), "CID_IN_USE");
}

TEST_F(CidAllocatorTest, ARangeIsUsedUpRoundAndRound) {
  const CidRequest range = CidRequest::Range(100, 102);
  EXPECT_EQ(Take(range), 100u);
  EXPECT_EQ(Take(range), 101u);
  cids_.Release(100, "vms/a");
  clock_.Advance(CidAllocator::kRest);
  EXPECT_EQ(Take(range), 102u);
  EXPECT_EQ(Take(range), 100u);
  const absl::Status refused = cids_.Allocate(range, "vms/b").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "CID_RANGE_EXHAUSTED");
}

TEST_F(CidAllocatorTest, TheHighestRangeEndsWithoutWrapping) {
  const CidRequest top = CidRequest::Range(kLastGuestCid - 1, kLastGuestCid);
  EXPECT_EQ(Take(top), kLastGuestCid - 1);
  EXPECT_EQ(Take(top), kLastGuestCid);
  EXPECT_EQ(Refusal(top, "vms/b"), "CID_RANGE_EXHAUSTED");
}

TEST_F(CidAllocatorTest, ARangeOfAllCidsCostsNoMoreThanASmallOne) {
  const CidRequest all = CidRequest::Range(kFirstGuestCid, kLastGuestCid);
  std::set<Cid> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(Take(all));
  EXPECT_EQ(seen.size(), 10'000u);
}

TEST_F(CidAllocatorTest, AClaimTakesWhatIsFreeOrRests) {
  EXPECT_TRUE(cids_.Claim(42, "vms/a"));
  EXPECT_TRUE(cids_.Claim(42, "vms/a"));
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/b"), "CID_IN_USE");
  cids_.Release(42, "vms/a");
  EXPECT_TRUE(cids_.Claim(42, "vms/b"));
  EXPECT_EQ(cids_.resting(), 0u);
  clock_.Advance(CidAllocator::kRest * 2);
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/a"), "CID_IN_USE");
}

TEST_F(CidAllocatorTest, AClaimOnAnothersCidWaitsForIt) {
  Take(CidRequest::Fixed(42), "vms/a");
  EXPECT_FALSE(cids_.Claim(42, "vms/b"));
  EXPECT_FALSE(cids_.IsHeld(42, "vms/b"));
  cids_.Release(42, "vms/a");
  EXPECT_TRUE(cids_.IsHeld(42, "vms/b"));
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/a"), "CID_IN_USE");
}

TEST_F(CidAllocatorTest, WhoWaitsMayGiveUp) {
  Take(CidRequest::Fixed(42), "vms/a");
  EXPECT_FALSE(cids_.Claim(42, "vms/b"));
  cids_.Release(42, "vms/b");
  EXPECT_TRUE(cids_.IsHeld(42, "vms/a"));
  cids_.Release(42, "vms/a");
  EXPECT_EQ(cids_.resting(), 1u);
}

TEST_F(CidAllocatorTest, ARestGoesOnButNeverForLongerThanARest) {
  cids_.Rest(42, "vms/a", std::chrono::seconds(5));
  cids_.Rest(43, "vms/a", std::chrono::hours(24));
  cids_.Rest(44, "vms/a", std::chrono::seconds(-1));
  EXPECT_EQ(cids_.resting(), 2u);
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/b"), "CID_QUARANTINED");
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/b"), 42u);
  EXPECT_EQ(Refusal(CidRequest::Fixed(43), "vms/b"), "CID_QUARANTINED");
  clock_.Advance(CidAllocator::kRest);
  EXPECT_EQ(Take(CidRequest::Fixed(43), "vms/b"), 43u);
}

TEST_F(CidAllocatorTest, TheChoiceGoesOnFromItsCursors) {
  cids_.set_cursors({.automatic = 2000, .in_range = 150});
  EXPECT_EQ(Take(CidRequest::Automatic()), 2001u);
  EXPECT_EQ(Take(CidRequest::Range(100, 200)), 151u);
}

TEST_F(CidAllocatorTest, PeekTakesNothing) {
  EXPECT_EQ(*cids_.Peek(CidRequest::Automatic(), "vms/a"), CidAllocator::kFirstAutomatic);
  EXPECT_EQ(*cids_.Peek(CidRequest::Automatic(), "vms/a"), CidAllocator::kFirstAutomatic);
}

TEST_F(CidAllocatorTest, CreatingAndDeletingWithoutEndIsRefusedUntilSomeAreFree) {
  for (size_t i = 0; i < CidAllocator::kMaxResting; ++i) cids_.Release(Take(CidRequest::Automatic()), "vms/a");
  EXPECT_EQ(Refusal(CidRequest::Automatic(), "vms/b"), "QUOTA_EXCEEDED");
  clock_.Advance(CidAllocator::kRest);
  Take(CidRequest::Automatic());
}

TEST_F(CidAllocatorTest, AReservationIsTakenOnceAndExpires) {
  EXPECT_EQ(*cids_.Reserve(CidRequest::Fixed(42), "tests", std::chrono::seconds(10)), 42u);
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/a"), "CID_IN_USE");
  EXPECT_EQ(Take(CidRequest::Reserved("default", 42), "vms/a"), 42u);
  EXPECT_EQ(Refusal(CidRequest::Reserved("default", 42), "vms/b"), "CID_NOT_FOUND");

  ASSERT_TRUE(cids_.Reserve(CidRequest::Fixed(43), "tests", std::chrono::seconds(10)).ok());
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(Refusal(CidRequest::Reserved("default", 43), "vms/b"), "CID_NOT_FOUND");
  EXPECT_EQ(Take(CidRequest::Fixed(43), "vms/b"), 43u) << "nobody ever had it: it does not rest";
}

TEST_F(CidAllocatorTest, AVmThatCouldNotBeMadeGivesTheReservationBackUntilItsTime) {
  ASSERT_TRUE(cids_.Reserve(CidRequest::Fixed(42), "tests", std::chrono::seconds(10)).ok());
  Take(CidRequest::Reserved("default", 42), "vms/a");
  clock_.Advance(std::chrono::seconds(4));
  cids_.GiveBack(42, "vms/a", false);
  const std::vector<CidAllocator::Lease> leases = cids_.List(0, 10);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].state, CidAllocator::Lease::State::kReserved);
  EXPECT_EQ(leases[0].holder, "tests");
  EXPECT_EQ(leases[0].left, std::chrono::seconds(6));

  Take(CidRequest::Reserved("default", 42), "vms/a");
  clock_.Advance(std::chrono::seconds(6));
  cids_.GiveBack(42, "vms/a", false);
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/b"), 42u) << "its time was over";
}

TEST_F(CidAllocatorTest, WhatAVmThatCouldNotBeMadeHadRestsOnlyIfAGuestMayHaveHadIt) {
  Take(CidRequest::Fixed(42), "vms/a");
  cids_.GiveBack(42, "vms/a", false);
  EXPECT_EQ(Take(CidRequest::Fixed(42), "vms/b"), 42u);
  cids_.GiveBack(42, "vms/b", true);
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/a"), "CID_QUARANTINED");

  Take(CidRequest::Fixed(43), "vms/c");
  EXPECT_FALSE(cids_.Claim(43, "vms/heir"));
  cids_.GiveBack(43, "vms/c", false);
  EXPECT_TRUE(cids_.IsHeld(43, "vms/heir"));
}

TEST_F(CidAllocatorTest, AVmThatKeepsWhatItHasLeavesNoTraceOfAnother) {
  Take(CidRequest::Fixed(42), "vms/a");
  Take(CidRequest::Fixed(43), "vms/a");
  cids_.Undo(43, "vms/a", 42);
  EXPECT_EQ(Take(CidRequest::Fixed(43), "vms/b"), 43u) << "nobody ever had it: it does not rest";
  EXPECT_TRUE(cids_.IsHeld(42, "vms/a"));

  ASSERT_TRUE(cids_.Reserve(CidRequest::Fixed(44), "tests", std::chrono::seconds(10)).ok());
  Take(CidRequest::Reserved("default", 44), "vms/a");
  cids_.Undo(44, "vms/a", 42);
  EXPECT_EQ(Refusal(CidRequest::Fixed(44), "vms/b"), "CID_IN_USE") << "it is reserved again";

  // One that it had before rests on, as long as it would have.
  Take(CidRequest::Fixed(45), "vms/a");
  cids_.Release(45, "vms/a");
  clock_.Advance(std::chrono::seconds(10));
  Take(CidRequest::Fixed(45), "vms/a");
  cids_.Undo(45, "vms/a", 42);
  EXPECT_EQ(Refusal(CidRequest::Fixed(45), "vms/b"), "CID_QUARANTINED");
  clock_.Advance(CidAllocator::kRest - std::chrono::seconds(10));
  EXPECT_EQ(Take(CidRequest::Fixed(45), "vms/b"), 45u);

  cids_.Release(42, "vms/a");
  clock_.Advance(CidAllocator::kRest);
  CidRequest range = CidRequest::Range(3, 100);
  range.sticky = true;
  EXPECT_EQ(Take(range, "vms/a"), 42u) << "that is what it had last";
}

TEST_F(CidAllocatorTest, ACidThatAVmHadByAReservationRestsWhenTheVmIsGone) {
  ASSERT_TRUE(cids_.Reserve(CidRequest::Fixed(42), "tests", std::chrono::seconds(10)).ok());
  Take(CidRequest::Reserved("default", 42), "vms/a");
  cids_.Release(42, "vms/a");
  EXPECT_EQ(Refusal(CidRequest::Fixed(42), "vms/b"), "CID_QUARANTINED");
}

}  // namespace
}  // namespace kinsock
