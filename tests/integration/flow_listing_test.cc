// SPDX-License-Identifier: Apache-2.0
//
// A guest may have more connections than a reactor can describe in one go: they are listed all the same, and each once.
#include <algorithm>
#include <set>
#include <vector>

#include "device/flow_walk.h"
#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

class FlowListingTest : public SwitchTest {
 protected:
  // Connections from one guest to the other.
  std::vector<Stream> ConnectMany(SimulatedGuest& from, SimulatedGuest& to, size_t count) {
    to.Listen(80);
    std::vector<Stream> calls;
    for (size_t i = 0; i < count; ++i) calls.push_back(from.Connect(to.cid(), 80));
    RunUntil([&] {
      while (to.TryAccept(80).has_value()) {
      }
      return std::all_of(calls.begin(), calls.end(), [](Stream& call) { return call.established(); });
    });
    return calls;
  }
};

TEST_F(FlowListingTest, MoreThanAStepOfSeveralGuests) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  constexpr size_t kThere = 2 * FlowWalk::kStep + 7, kBack = FlowWalk::kStep;
  std::vector<Stream> there = ConnectMany(a, b, kThere);
  const std::vector<Stream> back = ConnectMany(b, a, kBack);
  std::set<uint64_t> ids;
  for (const FlowInfo& flow : switch_flows()) ids.insert(flow.id);
  EXPECT_EQ(ids.size(), kThere + kBack);
  EXPECT_EQ(switch_flows().size(), kThere + kBack) << "each once";

  // Those that end are among the ended, and only there.
  for (Stream& call : there) call.Reset();
  RunUntil([&] { return switch_flows().size() == kBack; });
  for (const FlowInfo& flow : switch_flows()) EXPECT_NE(flow.state, FlowInfo::State::kClosed);
}

}  // namespace
}  // namespace kinsock::testing
