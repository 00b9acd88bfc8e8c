// SPDX-License-Identifier: Apache-2.0
//
// Programs on the host connected to programs in guests, by the hybrid protocol and by forwards, whoever began: how each
// end may close, reset or disappear. Once it is made, a connection is a connection.
#include <optional>
#include <string>
#include <tuple>

#include "tests/integration/forward_fixture.h"

namespace kinsock::testing {
namespace {

// Nothing: without a forward.
using Family = std::optional<HostFamily>;

class HostWayTest : public ForwardWay, public ::testing::WithParamInterface<std::tuple<bool, Family>> {
 protected:
  bool from_host() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }
  bool on_tcp() const { return family().has_value() && *family() != HostFamily::kUnix; }

  HostPair ConnectThisWay(SimulatedGuest& guest) {
    if (family().has_value()) return ConnectBy(from_host(), *family(), guest);
    return from_host() ? ConnectFromHost(guest) : ConnectToHost(guest);
  }
};
INSTANTIATE_TEST_SUITE_P(Ways, HostWayTest,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(Family(), Family(HostFamily::kUnix),
                                                              Family(HostFamily::kTcp4), Family(HostFamily::kTcp6))),
                         [](const auto& info) {
                           const Family family = std::get<1>(info.param);
                           return std::string(std::get<0>(info.param) ? "FromHost" : "FromGuest") +
                                  (!family.has_value() ? "Hybrid" : NameOf(*family));
                         });

TEST_P(HostWayTest, TheHostClosesItsHalf) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.program->Send("question");
  pair.program->ShutdownSend();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_EQ(pair.guest.Received(), "question");
  EXPECT_TRUE(pair.guest.established());

  pair.guest.Send("answer");
  pair.guest.Close();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->Received(), "answer");
  EXPECT_FALSE(pair.program->broken());
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_FALSE(pair.guest.was_reset());
  AwaitNoFlows();
  EXPECT_EQ(LastCloseReason(), CloseReason::kFinished);
}

TEST_P(HostWayTest, TheGuestClosesItsHalf) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.Send("question");
  pair.guest.ShutdownSend();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->Received(), "question");

  pair.program->SendPattern(1, 300'000);
  pair.guest.ExpectPattern(1);
  RunUntil([&] { return pair.guest.received_bytes() == 300'000; });
  EXPECT_EQ(pair.guest.Verdict(300'000), "exact");
  pair.program->Close();
  RunUntil([&] { return pair.guest.at_eof(); });
  pair.guest.Close();
  RunUntil([&] { return pair.guest.closed(); });
  AwaitNoFlows();
}

TEST_P(HostWayTest, TheHostProgramExits) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.program->Send("last words");
  pair.program->Close();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_EQ(pair.guest.Received(), "last words");
  // Over TCP, the kernel says that nobody reads only after something was written.
  for (int i = 0; i < 100 && !pair.guest.closed(); ++i) {
    pair.guest.Send("too late");
    RunUntilIdle();
  }
  EXPECT_TRUE(pair.guest.closed());
  AwaitNoFlows();
}

TEST_P(HostWayTest, TheGuestProgramResets) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.Reset();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->broken(), on_tcp());  // ECONNRESET
  AwaitNoFlows();
  EXPECT_EQ(LastCloseReason(), CloseReason::kGuestReset);
  if (has_forward()) EXPECT_EQ(forward().stats->refused.value(), 0u);
}

TEST_P(HostWayTest, AKilledVmmIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  guest.Kill();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->broken(), on_tcp());
  ASSERT_TRUE(guest.PowerOn(vm(3).vhost_user_socket).ok());
  AwaitState(Cid(3), DeviceState::kActive);
  HostPair again = ConnectThisWay(guest);
  Exchange(again, 3, 100'000);
}

TEST_P(HostWayTest, ARemovedVmIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  RemoveVm(Cid(3));
  RunUntil([&] { return pair.program->at_eof(); });
  if (has_forward()) EXPECT_EQ(forward().stats->open.load(), 0);
}

}  // namespace
}  // namespace kinsock::testing
