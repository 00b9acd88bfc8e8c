// SPDX-License-Identifier: Apache-2.0
#include "router/flow_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using ::testing::SizeIs;

class FlowCollectorTest : public ::testing::Test {
 protected:
  void Add(uint64_t device, size_t times = 1) {
    FlowInfo flow;
    flow.initiator.device = device;
    for (size_t i = 0; i < times; ++i) collector_.Add(flow);
  }
  void PassASecond() {
    clock_.Advance(FlowCollector::kInterval);
    loop_.RunOnce();
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  std::vector<CollectedFlows> told_;
  FlowCollector collector_{loop_, [this](CollectedFlows flows) { told_.push_back(std::move(flows)); }};
};

TEST_F(FlowCollectorTest, WhatHappensInASecondIsToldTogether) {
  Add(1, 2);
  Add(2);
  EXPECT_THAT(told_, SizeIs(0));
  PassASecond();
  ASSERT_THAT(told_, SizeIs(1));
  EXPECT_THAT(told_[0].by_initiator.at(1).first, SizeIs(2));
  EXPECT_THAT(told_[0].by_initiator.at(2).first, SizeIs(1));
  PassASecond();
  EXPECT_THAT(told_, SizeIs(1)) << "nothing is nothing to tell of";
}

TEST_F(FlowCollectorTest, OneThatNeverStopsTakesNobodysPlace) {
  Add(1, 10'000);
  Add(2);
  PassASecond();
  EXPECT_THAT(told_[0].by_initiator.at(1).first, SizeIs(FlowCollector::kMaxTold));
  EXPECT_EQ(told_[0].by_initiator.at(1).more, 10'000 - FlowCollector::kMaxTold);
  EXPECT_THAT(told_[0].by_initiator.at(2).first, SizeIs(1));
  Add(1);
  PassASecond();
  EXPECT_THAT(told_[1].by_initiator.at(1).first, SizeIs(1)) << "each second begins anew";
  EXPECT_EQ(told_[1].by_initiator.at(1).more, 0u);
}

TEST_F(FlowCollectorTest, OfManyThatNeverStopTheFirstOfEachIsTold) {
  constexpr uint64_t kDevices = 1000;
  for (uint64_t device = 1; device <= kDevices; ++device) Add(device, 20);
  PassASecond();
  ASSERT_THAT(told_[0].by_initiator, SizeIs(kDevices));
  size_t told = 0, more = 0;
  for (const auto& [device, of_one] : told_[0].by_initiator) {
    EXPECT_GE(of_one.first.size(), 1u);
    told += of_one.first.size();
    more += of_one.more;
  }
  EXPECT_LE(told, FlowCollector::kMaxToldOfAll + kDevices);
  EXPECT_EQ(told + more, kDevices * 20);
}

}  // namespace
}  // namespace kinsock
