// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/flow_rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

FlowInfo Flow(uint64_t id, uint64_t to_target, uint64_t to_initiator = 0) {
  FlowInfo flow;
  flow.id = id;
  flow.state = FlowInfo::State::kEstablished;
  flow.to_target.bytes = to_target;
  flow.to_initiator.bytes = to_initiator;
  return flow;
}

class FlowRatesTest : public ::testing::Test {
 protected:
  std::vector<FlowInfo> Measure(std::vector<FlowInfo> flows) {
    rates_.Measure(flows);
    return flows;
  }

  testing::SimulatedClock clock_;
  FlowRates rates_{clock_};
};

TEST_F(FlowRatesTest, ARateIsTheGrowthSinceTheLookBefore) {
  EXPECT_EQ(Measure({Flow(1, 5000)})[0].to_target.bytes_per_second, 0u);
  EXPECT_EQ(rates_.interval().count(), 0) << "one look tells no rate";
  clock_.Advance(seconds(2));
  const std::vector<FlowInfo> flows = Measure({Flow(1, 7000, 100), Flow(2, 50)});
  EXPECT_EQ(flows[0].to_target.bytes_per_second, 1000u);
  EXPECT_EQ(flows[0].to_initiator.bytes_per_second, 50u);
  EXPECT_EQ(flows[1].to_target.bytes_per_second, 25u) << "a new one has grown from nothing";
  EXPECT_EQ(rates_.interval(), seconds(2));
}

TEST_F(FlowRatesTest, WhoLooksAgainAtOnceGetsTheLastRates) {
  Measure({Flow(1, 0)});
  clock_.Advance(seconds(1));
  Measure({Flow(1, 500)});
  clock_.Advance(milliseconds(999));
  const std::vector<FlowInfo> flows = Measure({Flow(1, 100'000), Flow(2, 1)});
  EXPECT_EQ(flows[0].to_target.bytes_per_second, 500u);
  EXPECT_EQ(flows[1].to_target.bytes_per_second, 0u);
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(Measure({Flow(1, 600)})[0].to_target.bytes_per_second, 100u);
}

TEST_F(FlowRatesTest, AMeanOverALongTimeIsNoRate) {
  Measure({Flow(1, 0)});
  clock_.Advance(seconds(61));
  EXPECT_EQ(Measure({Flow(1, 1'000'000)})[0].to_target.bytes_per_second, 0u);
  EXPECT_EQ(rates_.interval().count(), 0);
  clock_.Advance(seconds(60));
  EXPECT_EQ(Measure({Flow(1, 1'060'000)})[0].to_target.bytes_per_second, 1000u);
}

TEST_F(FlowRatesTest, WhatHasEndedHasNoRate) {
  Measure({Flow(1, 0), Flow(2, 0), Flow(3, 0)});
  clock_.Advance(seconds(1));
  FlowInfo ended = Flow(2, 800);
  ended.state = FlowInfo::State::kClosed;
  const std::vector<FlowInfo> flows = Measure({ended, Flow(3, 30)});
  EXPECT_EQ(flows[0].to_target.bytes_per_second, 0u);
  EXPECT_EQ(flows[1].to_target.bytes_per_second, 30u);
}

TEST_F(FlowRatesTest, TheNewestOfTooManyAreNotMeasured) {
  std::vector<FlowInfo> flows;
  for (uint64_t id = 1; id <= FlowRates::kMaxFlows + 2; ++id) flows.push_back(Flow(id, 0));
  flows = Measure(std::move(flows));
  clock_.Advance(seconds(1));
  for (FlowInfo& flow : flows) flow.to_target.bytes = 10;
  flows = Measure(std::move(flows));
  EXPECT_EQ(flows[FlowRates::kMaxFlows - 1].to_target.bytes_per_second, 10u);
  EXPECT_EQ(flows[FlowRates::kMaxFlows].to_target.bytes_per_second, 0u);
  EXPECT_EQ(rates_.unmeasured(), 2u);
}

}  // namespace
}  // namespace kinsock
