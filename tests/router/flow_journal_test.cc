// SPDX-License-Identifier: Apache-2.0
#include "router/flow_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class FlowJournalTest : public ::testing::Test {
 protected:
  // A connection that `device` began has ended.
  uint64_t End(uint64_t device, CloseReason reason = CloseReason::kFinished) {
    FlowInfo info;
    info.id = journal_.NextId();
    info.state = FlowInfo::State::kClosed;
    info.initiator.device = device;
    info.close_reason = reason;
    journal_.Closed(info);
    return info.id;
  }

  std::vector<FlowInfo> Listed() {
    std::vector<FlowInfo> flows;
    journal_.Describe(flows);
    return flows;
  }

  testing::SimulatedClock clock_;
  EventLoop loop_;
  FlowJournal journal_{loop_, 3, clock_};
};

TEST_F(FlowJournalTest, NumbersTellTheReactor) {
  const uint64_t first = journal_.NextId(), second = journal_.NextId();
  EXPECT_NE(first, second);
  EXPECT_EQ(FlowJournal::ReactorOf(first), 3u);
  EXPECT_EQ(FlowJournal::ReactorOf(second), 3u);
}

TEST_F(FlowJournalTest, WhatHasEndedIsRememberedForAMinute) {
  EXPECT_THAT(Listed(), IsEmpty());
  const uint64_t first = End(1, CloseReason::kGuestReset);
  clock_.Advance(std::chrono::seconds(30));
  const uint64_t second = End(2);

  const std::vector<FlowInfo> both = Listed();
  ASSERT_THAT(both, SizeIs(2));
  EXPECT_EQ(both[0].id, first);
  EXPECT_EQ(both[0].close_reason, CloseReason::kGuestReset);
  EXPECT_EQ(both[1].id, second);
  ASSERT_NE(journal_.Find(first), nullptr);
  EXPECT_EQ(journal_.Find(first)->initiator.device, 1u);

  clock_.Advance(std::chrono::seconds(30));
  EXPECT_EQ(journal_.Find(first), nullptr);
  EXPECT_NE(journal_.Find(second), nullptr);
  clock_.Advance(std::chrono::seconds(30));
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_EQ(journal_.forgotten(), 0u) << "they had their time";
}

TEST_F(FlowJournalTest, OneThatEndsConnectionsWithoutEndForgetsItsOwn) {
  const uint64_t neighbours = End(1);
  for (size_t i = 0; i < FlowJournal::kMaxClosedOfOne + 10; ++i) End(2);
  EXPECT_THAT(Listed(), SizeIs(FlowJournal::kMaxClosedOfOne + 1));
  EXPECT_NE(journal_.Find(neighbours), nullptr);
  EXPECT_EQ(journal_.forgotten(), 10u);
}

TEST_F(FlowJournalTest, OfTooManyTheOldestAreForgotten) {
  const uint64_t first = End(1);
  for (size_t i = 0; i < FlowJournal::kMaxClosed; ++i) End(2 + i % 100);
  EXPECT_THAT(Listed(), SizeIs(FlowJournal::kMaxClosed));
  EXPECT_EQ(journal_.Find(first), nullptr);
  EXPECT_EQ(journal_.forgotten(), 1u);
}

TEST_F(FlowJournalTest, AReactorThatDoesNotGetToItHoldsABoundedNumber) {
  for (size_t i = 0; i < FlowJournal::kMaxUntaken + 5; ++i) End(i % 1000);
  EXPECT_EQ(journal_.forgotten(), 5u);
  EXPECT_THAT(Listed(), SizeIs(FlowJournal::kMaxClosed));
  EXPECT_EQ(journal_.forgotten(), 5u + FlowJournal::kMaxUntaken - FlowJournal::kMaxClosed);
}

TEST_F(FlowJournalTest, ARefusedRequestIsOneThatHasEnded) {
  journal_.Refused({.device = 1, .cid = 3, .port = 1024}, {.device = 2, .cid = 4, .port = 80},
                   VIRTIO_VSOCK_TYPE_SEQPACKET, CloseReason::kPolicyDenied);
  const std::vector<FlowInfo> flows = Listed();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0].state, FlowInfo::State::kClosed);
  EXPECT_EQ(flows[0].close_reason, CloseReason::kPolicyDenied);
  EXPECT_EQ(flows[0].target.cid, 4u);
  EXPECT_EQ(flows[0].type, VIRTIO_VSOCK_TYPE_SEQPACKET);
  EXPECT_GT(flows[0].close_time.time_since_epoch().count(), 0);
}

TEST_F(FlowJournalTest, ARefusalIsCountedHoweverManyWaitToBeTakenOver) {
  const uint64_t ended = End(1);
  for (size_t i = 0; i < FlowJournal::kMaxUntaken + 100; ++i) {
    journal_.Refused({.device = 1, .cid = 3}, {.device = 2, .cid = 4, .port = 80}, VIRTIO_VSOCK_TYPE_STREAM,
                     CloseReason::kPolicyDenied);
  }
  std::vector<PairInfo> pairs;
  journal_.pairs().Describe(pairs);
  ASSERT_THAT(pairs, SizeIs(2));
  EXPECT_EQ(pairs[0].totals.denied, FlowJournal::kMaxUntaken + 100);
  EXPECT_EQ(pairs[0].totals.last_denial.port, 80u);
  EXPECT_EQ(journal_.Find(ended), nullptr) << "it is one VM's, which has had more since";
}

TEST_F(FlowJournalTest, ThreadsHandOverWhatTheyEnd) {
  constexpr int kEach = 500;
  std::vector<std::thread> threads;
  for (uint64_t device = 1; device <= 4; ++device) {
    threads.emplace_back([this, device] {
      for (int i = 0; i < kEach; ++i) {
        FlowInfo info;
        info.id = device << 32 | static_cast<uint64_t>(i);
        info.initiator.device = device;
        journal_.Closed(info);
      }
    });
  }
  for (int i = 0; i < 100; ++i) loop_.RunOnce();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Listed(), SizeIs(4 * kEach));
  EXPECT_EQ(journal_.forgotten(), 0u);
}

}  // namespace
}  // namespace kinsock
