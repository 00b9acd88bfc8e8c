// SPDX-License-Identifier: Apache-2.0
//
// How connections end, as both ends and an administrator see it: by his reset, and for every other reason.
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ConnectionEndTest : public HybridTest {
 protected:
  // The one connection that is open.
  uint64_t OnlyFlow() {
    const std::vector<FlowInfo> flows = switch_flows();
    EXPECT_THAT(flows, SizeIs(1));
    return flows.empty() ? 0 : flows.front().id;
  }

  // Runs until one connection more than `before` has ended; what is remembered of it.
  FlowInfo AwaitEnd(size_t before = 0) {
    RunUntil([&] { return backend().ClosedFlows().size() > before; });
    const std::vector<FlowInfo> closed = backend().ClosedFlows();
    EXPECT_THAT(closed, SizeIs(before + 1));
    return closed.empty() ? FlowInfo() : closed.back();
  }
};

TEST_F(ConnectionEndTest, AResetReachesBothGuestsAtOnce) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  auto [client, server] = Connect(a, b);
  client.Send("hello");
  RunUntil([s = server] { return s.Received() == "hello"; });

  const uint64_t id = OnlyFlow();
  const std::optional<FlowInfo> reset = backend().ResetFlow(id);
  ASSERT_TRUE(reset.has_value());
  EXPECT_EQ(reset->id, id);
  EXPECT_EQ(reset->state, FlowInfo::State::kClosed);
  EXPECT_EQ(reset->close_reason, CloseReason::kAdminReset);
  EXPECT_EQ(reset->to_target.bytes, 5u);
  RunUntil([c = client, s = server] { return c.closed() && s.closed(); });
  EXPECT_TRUE(client.was_reset());
  EXPECT_TRUE(server.was_reset());
  AwaitNoFlows();
  for (const Cid cid : {3u, 4u}) {
    EXPECT_EQ(stats(cid).guest_port.closes[static_cast<size_t>(CloseReason::kAdminReset)], 1u);
  }
  Connect(a, b);  // nothing is left of it
}

TEST_F(ConnectionEndTest, AResetIsAlsoForWhoDoesNotReadAndWhatWaitsForHim) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  auto [client, server] = Connect(a, b);
  server.PauseReading();
  client.SendPattern(1, 10'000'000);
  RunUntilIdle();
  ASSERT_TRUE(backend().ResetFlow(OnlyFlow()).has_value());
  RunUntil([c = client, s = server] { return c.closed() && s.closed(); });
  AwaitNoFlows();
  EXPECT_EQ(stats(4).guest_port.buffered_bytes, 0u);
}

TEST_F(ConnectionEndTest, AResetEndsARequestThatNobodyAnswers) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  b.set_frozen(true);
  Stream call = a.Connect(b.cid(), Port(80));
  RunUntil([&] { return !switch_flows().empty(); });
  ASSERT_TRUE(backend().ResetFlow(OnlyFlow()).has_value());
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
  EXPECT_EQ(stats(3).guest_port.connects[0][static_cast<size_t>(CloseReason::kAdminReset)], 1u);
}

TEST_F(ConnectionEndTest, AResetClosesTheSocketOfAHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair called = ConnectFromHost(guest);
  const std::optional<FlowInfo> reset = backend().ResetFlow(OnlyFlow());
  ASSERT_TRUE(reset.has_value());
  EXPECT_EQ(reset->initiator.cid, kHostCid);
  EXPECT_EQ(reset->initiator.host_pid, getpid());
  EXPECT_EQ(reset->initiator.host_uid, getuid());
  RunUntil([&] { return called.program->at_eof() && called.guest.closed(); });
  EXPECT_TRUE(called.guest.was_reset());
}

TEST_F(ConnectionEndTest, WhatAHostProgramHasNotReadIsLostWithAReset) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair call = ConnectToHost(guest);
  call.program->PauseReading();
  call.guest.SendPattern(1, 4'000'000);
  RunUntilIdle();
  ASSERT_GT(stats(3).host_port.buffered_bytes, 0u) << "the daemon has something left to write";
  const std::optional<FlowInfo> reset = backend().ResetFlow(OnlyFlow());
  ASSERT_TRUE(reset.has_value());
  EXPECT_EQ(reset->target.host_pid, getpid());
  EXPECT_EQ(stats(3).host_port.buffered_bytes, 0u);
  call.program->ResumeReading();
  RunUntil([&] { return call.program->at_eof() && call.guest.closed(); });
  EXPECT_LT(call.program->received_bytes(), 4'000'000u);
}

TEST_F(ConnectionEndTest, WhatIsNotThereCannotBeReset) {
  Boot(Cid(3));
  for (const uint64_t id : {uint64_t{0}, uint64_t{12345}, uint64_t{1} << 48, uint64_t{77} << 48, ~uint64_t{0}}) {
    EXPECT_FALSE(backend().ResetFlow(id).has_value()) << id;
  }
}

TEST_F(ConnectionEndTest, OneThatHasEndedKeepsItsReason) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  auto [client, server] = Connect(a, b);
  const uint64_t id = OnlyFlow();
  client.Close();
  RunUntil([c = client, s = server] { return c.closed() && s.closed(); });
  const FlowInfo ended = AwaitEnd();
  EXPECT_EQ(ended.id, id);
  EXPECT_EQ(ended.close_reason, CloseReason::kFinished);
  EXPECT_GE(ended.close_time, ended.start_time);
  const std::optional<FlowInfo> late = backend().ResetFlow(id);
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->close_reason, CloseReason::kFinished);
}

TEST_F(ConnectionEndTest, ARefusalIsRememberedToo) {
  Backend::VmOptions left, right;
  left.groups = {"left"};
  right.groups = {"right"};
  SimulatedGuest& caller = Boot(Cid(3), {}, left);
  SimulatedGuest& friendly = Boot(Cid(4), {}, left);
  Boot(Cid(5), {}, right);
  const struct {
    uint64_t cid;
    CloseReason reason;
    uint64_t device;
  } kRefusals[] = {{5, CloseReason::kPolicyDenied, vm(5).id},
                   {99, CloseReason::kPeerGone, 0},
                   {friendly.cid(), CloseReason::kGuestReset, vm(4).id},
                   {2, CloseReason::kNoListener, vm(3).id}};
  size_t before = 0;
  for (const auto& refusal : kRefusals) {
    SCOPED_TRACE(refusal.cid);
    Stream call = caller.Connect(refusal.cid, Port(81));
    RunUntil([&] { return call.closed(); });
    const FlowInfo ended = AwaitEnd(before++);
    EXPECT_EQ(ended.close_reason, refusal.reason);
    EXPECT_EQ(ended.initiator.device, vm(3).id);
    EXPECT_EQ(ended.initiator.port, call.local_port());
    EXPECT_EQ(ended.target.device, refusal.device);
    EXPECT_EQ(ended.target.cid, refusal.cid);
    EXPECT_EQ(ended.target.port, 81u);
  }
  AwaitNoFlows();
}

TEST_F(ConnectionEndTest, AVmThatGoesLeavesItsConnectionsBehind) {
  SimulatedGuest& a = Boot(Cid(3));
  SimulatedGuest& b = Boot(Cid(4));
  auto [client, server] = Connect(a, b);
  const uint64_t device = vm(3).id;
  RemoveVm(3);
  RunUntil([s = server] { return s.closed(); });
  const FlowInfo ended = AwaitEnd();
  EXPECT_EQ(ended.close_reason, CloseReason::kPeerGone);
  EXPECT_EQ(ended.initiator.device, device);
}

}  // namespace
}  // namespace kinsock::testing
