// SPDX-License-Identifier: Apache-2.0
#include "router/pair_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <tuple>
#include <vector>

namespace kinsock {
namespace {

using ::testing::SizeIs;

FlowInfo Ended(uint64_t from, uint64_t to, uint64_t bytes, bool accepted = true) {
  FlowInfo flow;
  flow.state = FlowInfo::State::kClosed;
  flow.accepted = accepted;
  flow.initiator = {.device = from, .cid = 3};
  flow.target = {.device = to, .cid = 4};
  flow.to_target.bytes = bytes;
  flow.to_initiator.bytes = bytes / 2;
  return flow;
}

std::vector<PairInfo> All(const PairTable& table) {
  std::vector<PairInfo> pairs;
  table.Describe(pairs);
  return pairs;
}

TEST(PairTableTest, SumsTheConnectionsOfAPair) {
  PairTable table;
  table.Add(Ended(1, 2, 100));
  table.Add(Ended(1, 2, 50));
  table.Add(Ended(1, 2, 0, false));
  table.Add(Ended(2, 1, 7));
  const std::vector<PairInfo> pairs = All(table);
  ASSERT_THAT(pairs, SizeIs(2));
  const PairTotals& totals = pairs[1].totals;  // the other way round is another pair, and was the last
  EXPECT_EQ(totals.accepted, 2u);
  EXPECT_EQ(totals.refused, 1u);
  EXPECT_EQ(totals.open, 0u);
  EXPECT_EQ(totals.to_target.bytes, 150u);
  EXPECT_EQ(totals.to_initiator.bytes, 75u);
}

TEST(PairTableTest, TheHostIsNotTheGuestWhoseHostItIs) {
  PairTable table;
  FlowInfo to_host = Ended(1, 1, 10);
  to_host.target.cid = kHostCid;
  FlowInfo from_host = Ended(1, 1, 10);
  from_host.initiator.cid = kHostCid;
  table.Add(to_host);
  table.Add(from_host);
  EXPECT_THAT(All(table), SizeIs(2));
}

TEST(PairTableTest, ARequestThatWasDeniedIsToldApartFromOneThatWasRefused) {
  PairTable table;
  table.Add(Ended(1, 2, 0, false));
  FlowInfo denied = Ended(1, 2, 0, false);
  for (const auto& [reason, port, second] :
       {std::tuple(CloseReason::kPolicyDenied, 22u, 100), std::tuple(CloseReason::kQuota, 80u, 200)}) {
    denied.close_reason = reason;
    denied.target.port = port;
    denied.close_time = std::chrono::system_clock::time_point(std::chrono::seconds(second));
    table.Add(denied);
  }
  const PairTotals totals = All(table)[0].totals;
  EXPECT_EQ(totals.refused, 3u);
  EXPECT_EQ(totals.denied, 2u);
  EXPECT_EQ(totals.last_denial.port, 80u);
  EXPECT_EQ(totals.last_denial.reason, CloseReason::kQuota);

  // Of two reactors the later one counts, whichever comes first.
  PairTotals sum, earlier;
  denied.close_time -= std::chrono::seconds(150);
  denied.target.port = 23;
  earlier.Add(denied);
  for (const PairTotals& each : {totals, earlier, totals}) sum += each;
  EXPECT_EQ(sum.denied, 5u);
  EXPECT_EQ(sum.last_denial.port, 80u);
}

TEST(PairTableTest, OneThatCallsEverybodyPushesItsOwnPairsOut) {
  PairTable table;
  table.Add(Ended(1, 2, 10));
  for (uint64_t i = 0; i < 2 * PairTable::kMaxPairs; ++i) table.Add(Ended(7, 100 + i, 0, false));
  EXPECT_THAT(All(table), SizeIs(1 + PairTable::kMaxPairsOfOne));
  EXPECT_EQ(All(table).back().key.initiator.device, 1u) << "however long it says nothing";
  EXPECT_EQ(table.merged(), 2 * PairTable::kMaxPairs - PairTable::kMaxPairsOfOne);
  EXPECT_EQ(table.other().refused, table.merged());
  table.Add(Ended(7, 100, 0, false));  // long gone, and now the newest
  EXPECT_EQ(All(table).front().key.target.device, 100u);
  EXPECT_EQ(All(table).front().totals.refused, 1u);
}

TEST(PairTableTest, AGuestThatTriesAllCidsMakesOnePair) {
  PairTable table;
  FlowInfo lost = Ended(1, 0, 0, false);  // nobody's device
  for (uint32_t cid = 3; cid < 50'000; ++cid) {
    lost.target.cid = cid;
    table.Add(lost);
  }
  EXPECT_THAT(All(table), SizeIs(1));
  EXPECT_EQ(table.merged(), 0u);
}

TEST(PairTableTest, TheLeastActiveMakesRoomAndIsNotLost) {
  PairTable table;
  const auto from = [](uint64_t i) { return 1 + i % 100; };  // so many that none has too many
  for (uint64_t i = 0; i < PairTable::kMaxPairs; ++i) table.Add(Ended(from(i), 1002 + i, 10));
  table.Add(Ended(from(0), 1002, 5));   // the oldest is active again
  table.Add(Ended(900, 9'000'000, 1));  // so the second has to go
  const std::vector<PairInfo> pairs = All(table);
  EXPECT_THAT(pairs, SizeIs(PairTable::kMaxPairs));
  EXPECT_EQ(table.other().accepted, 1u);
  EXPECT_EQ(table.other().to_target.bytes, 10u);
  uint64_t sum = table.other().to_target.bytes;
  bool second_is_there = false;
  for (const PairInfo& pair : pairs) {
    sum += pair.totals.to_target.bytes;
    second_is_there |= pair.key.target.device == 1003;
  }
  EXPECT_EQ(sum, 10 * PairTable::kMaxPairs + 5 + 1);
  EXPECT_FALSE(second_is_there);
  EXPECT_EQ(table.merged(), 1u);
}

TEST(PairTableTest, AnOpenConnectionCountsAsFarAsItHasCome) {
  PairTotals totals;
  FlowInfo open = Ended(1, 2, 10);
  open.state = FlowInfo::State::kHalfClosed;
  totals.Add(open);
  open.state = FlowInfo::State::kConnecting;
  open.to_target.bytes = 0;
  totals.Add(open);
  EXPECT_EQ(totals.accepted, 1u);
  EXPECT_EQ(totals.open, 1u);
  EXPECT_EQ(totals.refused, 0u);
}

}  // namespace
}  // namespace kinsock
