// SPDX-License-Identifier: Apache-2.0
//
// What happens is counted at those whom it concerns, under the name of what it was, and nowhere else.
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

constexpr Port kRaw = 5000;  // the hostile guest's side of what it makes up

uint64_t Accepted(const DeviceTotals& stats, Direction direction) {
  return stats.guest_port.connects[static_cast<size_t>(direction)][static_cast<size_t>(CloseReason::kNone)];
}

uint64_t Refused(const DeviceTotals& stats, Direction direction, CloseReason reason) {
  return stats.guest_port.connects[static_cast<size_t>(direction)][static_cast<size_t>(reason)];
}

uint64_t Closed(const DeviceTotals& stats, CloseReason reason) {
  return stats.guest_port.closes[static_cast<size_t>(reason)];
}

// Every connect and close of either kind.
uint64_t Events(const DeviceTotals& stats) {
  uint64_t sum = 0;
  for (const PortTotals::ByReason& results : stats.guest_port.connects) {
    for (const uint64_t count : results) sum += count;
  }
  for (const uint64_t count : stats.guest_port.closes) sum += count;
  return sum;
}

class StatisticsTest : public HybridTest {
 protected:
  // A guest's call to where it is not wanted, until it knows.
  void CallInVain(SimulatedGuest& caller, uint64_t cid, Port port) {
    Stream call = caller.Connect(cid, port);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
  }
};

TEST_F(StatisticsTest, ASiblingsStreamIsCountedAtBothEndsAndNowhereElse) {
  constexpr uint64_t kAsked = 100'000, kTold = 7;
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  Boot(Cid(5));
  auto [question, answer] = Connect(asker, teller);
  question.SendPattern(1, kAsked);
  answer.ExpectPattern(1);
  RunUntil([&, s = answer] { return s.received_bytes() == kAsked; });
  answer.Send("because");
  RunUntil([&, s = question] { return s.received_bytes() == kTold; });
  EXPECT_EQ(stats(3).from_guest_sibling_bytes, kAsked);
  EXPECT_EQ(stats(3).to_guest_sibling_bytes, kTold);
  EXPECT_EQ(stats(4).to_guest_sibling_bytes, kAsked);
  EXPECT_EQ(stats(4).from_guest_sibling_bytes, kTold);
  EXPECT_EQ(stats(3).from_guest_packets, stats(3).from_guest_sibling_packets());
  EXPECT_EQ(stats(4).to_guest_sibling_packets(), teller.received_packets());
  EXPECT_EQ(stats(3).to_guest_sibling_packets(), asker.received_packets());
  EXPECT_EQ(Accepted(stats(3), Direction::kOut), 1u);
  EXPECT_EQ(Accepted(stats(4), Direction::kIn), 1u);
  EXPECT_EQ(Events(stats(3)), 1u);
  EXPECT_EQ(Events(stats(4)), 1u);

  question.Close();
  answer.Close();
  AwaitNoFlows();
  for (const Cid cid : {3u, 4u}) {
    EXPECT_EQ(Closed(stats(cid), CloseReason::kFinished), 1u) << "guest " << cid;
    EXPECT_EQ(Events(stats(cid)), 2u) << "guest " << cid;
    EXPECT_EQ(stats(cid).from_guest_host_packets() + stats(cid).to_guest_host_packets(), 0u) << "guest " << cid;
    EXPECT_GT(stats(cid).from_guest_kicks, 0u);
    EXPECT_GT(stats(cid).to_guest_interrupts, 0u);
  }
  EXPECT_EQ(Events(stats(5)), 0u);
  EXPECT_EQ(stats(5).from_guest_packets + stats(5).to_guest_sibling_packets() + stats(5).to_guest_host_packets(), 0u);
}

TEST_F(StatisticsTest, WhatGoesToTheHostIsCountedApart) {
  constexpr uint64_t kBytes = 50'000;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair called = ConnectFromHost(guest);
  Exchange(called, 1, kBytes);
  HostPair calling = ConnectToHost(guest);
  Exchange(calling, 3, kBytes);
  EXPECT_EQ(stats(3).from_guest_host_bytes, 2 * kBytes);
  EXPECT_EQ(stats(3).to_guest_host_bytes, 2 * kBytes);
  EXPECT_EQ(stats(3).to_guest_host_packets(), guest.received_packets());
  EXPECT_EQ(stats(3).from_guest_sibling_packets() + stats(3).to_guest_sibling_packets(), 0u);
  EXPECT_EQ(Accepted(stats(3), Direction::kIn), 1u);
  EXPECT_EQ(Accepted(stats(3), Direction::kOut), 1u);
  for (const FlowInfo& flow : switch_flows()) {
    EXPECT_GT(flow.to_initiator.packets, 1u);
    EXPECT_GT(flow.to_target.packets, 1u);
  }

  called.guest.Reset();
  RunUntil([&] { return called.program->at_eof(); });
  calling.guest.Close();
  AwaitNoFlows();
  EXPECT_EQ(Closed(stats(3), CloseReason::kGuestReset), 1u);
  EXPECT_EQ(Closed(stats(3), CloseReason::kFinished), 1u);
  EXPECT_EQ(Events(stats(3)), 4u);
}

TEST_F(StatisticsTest, ARefusedCallIsCountedUnderItsReason) {
  Backend::VmOptions left, right;
  left.groups = {"left"};
  right.groups = {"right"};
  SimulatedGuest& caller = Boot(Cid(3), {}, left);
  Boot(Cid(4), {}, left);
  Boot(Cid(5), {}, right);
  AddVm(Cid(6), left);
  CallInVain(caller, 4, Port(81));   // nobody listens
  CallInVain(caller, 5, Port(80));   // no common group
  CallInVain(caller, 6, Port(80));   // no guest yet
  CallInVain(caller, 99, Port(80));  // no such CID
  CallInVain(caller, 2, Port(80));   // no such host program
  const DeviceTotals counted = stats(3);
  EXPECT_EQ(Refused(counted, Direction::kOut, CloseReason::kGuestReset), 1u);
  EXPECT_EQ(Refused(counted, Direction::kOut, CloseReason::kPolicyDenied), 1u);
  EXPECT_EQ(Refused(counted, Direction::kOut, CloseReason::kPeerGone), 2u);
  EXPECT_EQ(Refused(counted, Direction::kOut, CloseReason::kNoListener), 1u);
  EXPECT_EQ(Events(counted), 5u);
  EXPECT_EQ(counted.from_guest_refused(), 4u) << "the fifth was answered by a guest";
  EXPECT_EQ(counted.from_guest_refused_no_route, 2u);
  EXPECT_EQ(counted.from_guest_refused_request, 2u);
  EXPECT_EQ(Refused(stats(4), Direction::kIn, CloseReason::kGuestReset), 1u);
  EXPECT_EQ(Events(stats(5)), 0u) << "it never heard of it";
  EXPECT_EQ(Refused(stats(6), Direction::kIn, CloseReason::kPeerGone), 1u);
}

TEST_F(StatisticsTest, ALimitIsCountedAtWhoseItIs) {
  Backend::VmOptions few;
  few.limits.max_connections = 1;
  SimulatedGuest& crowd = Boot(Cid(3));
  SimulatedGuest& recluse = Boot(Cid(4), {}, few);
  Pair only = Connect(crowd, recluse);
  CallInVain(crowd, 4, Port(80));
  EXPECT_EQ(stats(4).to_guest_limited_connections, 1u);
  EXPECT_EQ(Refused(stats(4), Direction::kIn, CloseReason::kQuota), 1u);
  EXPECT_EQ(Refused(stats(3), Direction::kOut, CloseReason::kQuota), 1u);
  EXPECT_EQ(stats(3).from_guest_limited_connections + stats(3).to_guest_limited_connections, 0u);

  CallInVain(recluse, 3, Port(80));
  EXPECT_EQ(stats(4).from_guest_limited_connections, 1u);
  EXPECT_EQ(Refused(stats(4), Direction::kOut, CloseReason::kQuota), 1u);
  EXPECT_EQ(Events(stats(3)), 2u) << "that call did not get there";

  HybridClient program(stage(), uds_path(4));
  program.Connect(80);
  RunUntil([&] { return program.at_eof(); });
  EXPECT_EQ(stats(4).from_guest_limited_connections, 2u);
  EXPECT_EQ(Refused(stats(4), Direction::kIn, CloseReason::kQuota), 2u);
}

TEST_F(StatisticsTest, WhatIsDroppedIsCountedUnderItsReason) {
  SimulatedGuest& forger = Boot(Cid(3));
  Boot(Cid(4));
  VsockPacket forged = forger.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, 4, Port(80));
  forged.src_cid = 4;
  forger.SendRaw(forged);
  forger.SendRaw(forger.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, (uint64_t{1} << 32) | 4, Port(80)));
  forger.SendRaw(forger.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, (uint64_t{1} << 63) | 4, Port(80)));
  forger.SendRaw(forger.Packet(VIRTIO_VSOCK_OP_RST, kRaw, 99, Port(80)));
  RunUntil([&] { return stats(3).from_guest_packets == 4; });
  RunUntilIdle();
  EXPECT_EQ(stats(3).from_guest_dropped_spoofed_source, 1u);
  EXPECT_EQ(stats(3).from_guest_dropped_reserved_bits, 2u);
  EXPECT_EQ(stats(3).from_guest_dropped_reset_of_reset, 1u);
  EXPECT_EQ(stats(3).from_guest_sibling_packets() + stats(3).from_guest_host_packets(), 0u);
  EXPECT_EQ(Events(stats(3)) + Events(stats(4)), 0u);
}

TEST_F(StatisticsTest, WhatIsRefusedIsCountedUnderItsReason) {
  SimulatedGuest& clumsy = Boot(Cid(3));
  SimulatedGuest& other = Boot(Cid(4));
  auto [client, server] = Connect(clumsy, other);
  VsockPacket long_one = clumsy.Packet(VIRTIO_VSOCK_OP_RW, kRaw, 4, Port(80));
  long_one.len = kMaxPayloadBytes + 1;
  clumsy.SendRaw(long_one);
  clumsy.SendRaw(clumsy.Packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1, kRaw, 4, Port(80)));
  VsockPacket odd = clumsy.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, 4, Port(80));
  odd.type = VIRTIO_VSOCK_TYPE_SEQPACKET + 1;
  clumsy.SendRaw(odd);
  clumsy.SendRaw(clumsy.Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, kRaw, 99, Port(80)));
  clumsy.SendRaw(clumsy.Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, kRaw, 4, Port(80)));
  clumsy.SendRaw(clumsy.Packet(VIRTIO_VSOCK_OP_RESPONSE, client.local_port(), 4, Port(80)));
  RunUntil([&] { return stats(3).from_guest_refused() == 6; });
  RunUntilIdle();
  EXPECT_EQ(stats(3).from_guest_refused_bad_length, 1u);
  EXPECT_EQ(stats(3).from_guest_refused_bad_op, 1u);
  EXPECT_EQ(stats(3).from_guest_refused_bad_type, 1u);
  EXPECT_EQ(stats(3).from_guest_refused_no_route, 1u);
  EXPECT_EQ(stats(3).from_guest_refused_no_connection, 1u);
  EXPECT_EQ(stats(3).from_guest_refused_violation, 1u);
  EXPECT_EQ(stats(3).from_guest_refused(), 6u);
  EXPECT_EQ(stats(4).from_guest_refused(), 0u);
}

TEST_F(StatisticsTest, APacketIsCountedOnceUnderWhatItIsAbout) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [question, answer] = Connect(asker, teller);
  question.Send("why?");
  RunUntil([s = answer] { return s.received_bytes() == 4; });
  question.connection().RequestCredit();
  RunUntilIdle();
  DeviceTotals sent = stats(3), got = stats(4);
  EXPECT_EQ(sent.from_guest_sibling_data_packets, 1u);
  EXPECT_EQ(sent.from_guest_sibling_credit_packets, 1u);
  EXPECT_EQ(sent.from_guest_sibling_control_packets, 1u) << "REQUEST";
  EXPECT_EQ(got.to_guest_sibling_data_packets, 1u);
  EXPECT_EQ(got.to_guest_sibling_credit_packets, 1u);
  EXPECT_EQ(got.to_guest_sibling_control_packets, 1u);
  EXPECT_EQ(stats(4).from_guest_sibling_control_packets, 1u) << "RESPONSE";
  EXPECT_EQ(stats(3).to_guest_sibling_control_packets, 1u);

  question.Reset();
  AwaitNoFlows();
  RunUntilIdle();
  EXPECT_EQ(stats(3).from_guest_sibling_control_packets, 2u);
  EXPECT_EQ(stats(4).to_guest_sibling_control_packets, 2u);
  EXPECT_EQ(stats(4).to_guest_sibling_packets(), teller.received_packets());

  HostPair pair = ConnectFromHost(asker);
  pair.program->Send("who?");
  RunUntil([&] { return pair.guest.received_bytes() == 4; });
  sent = stats(3);
  EXPECT_EQ(sent.to_guest_host_data_packets, 1u);
  EXPECT_EQ(sent.to_guest_host_control_packets, 1u);
  EXPECT_EQ(sent.from_guest_host_control_packets, 1u);
  EXPECT_EQ(sent.from_guest_host_data_packets, 0u);
}

TEST_F(StatisticsTest, AReaderThatPausesStallsItsSender) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  auto [client, server] = Connect(sender, receiver);
  server.PauseReading();
  server.ExpectPattern(1);
  client.SendPattern(1, kBytes);
  RunUntil([&, s = server] { return s.connection().unread() == 256 * 1024; });
  RunUntilIdle();
  FlowInfo flow = switch_flows().at(0);
  EXPECT_EQ(flow.to_target.credit, 0u);
  EXPECT_EQ(flow.to_target.credit_stalls, 1u);
  EXPECT_GT(flow.to_target.stalled.count(), 0) << "it goes on";
  EXPECT_EQ(flow.to_initiator.credit_stalls, 0u);
  const auto out = static_cast<size_t>(Direction::kOut), in = static_cast<size_t>(Direction::kIn);
  EXPECT_EQ(stats(3).guest_port.credit_stalls[out], 1u);
  EXPECT_EQ(stats(4).guest_port.credit_stalls[in], 1u);
  EXPECT_EQ(stats(3).guest_port.stalled_nanoseconds[out], 0u) << "it is not over";

  server.ResumeReading();
  RunUntil([&, s = server] { return s.received_bytes() == kBytes; });
  RunUntilIdle();
  flow = switch_flows().at(0);
  EXPECT_GT(flow.to_target.credit, 0u);
  EXPECT_EQ(stats(3).guest_port.stalled_nanoseconds[out], static_cast<uint64_t>(flow.to_target.stalled.count()));
  EXPECT_EQ(stats(4).guest_port.stalled_nanoseconds[in], static_cast<uint64_t>(flow.to_target.stalled.count()));
  EXPECT_EQ(stats(3).guest_port.credit_stalls[in] + stats(4).guest_port.credit_stalls[out], 0u);
}

TEST_F(StatisticsTest, AGuestThatPausesStallsAHostProgram) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectFromHost(guest);
  pair.guest.PauseReading();
  pair.guest.ExpectPattern(1);
  pair.program->SendPattern(1, kBytes);
  RunUntil([&] { return pair.guest.connection().unread() == 256 * 1024; });
  RunUntilIdle();
  const auto in = static_cast<size_t>(Direction::kIn);
  EXPECT_EQ(stats(3).guest_port.credit_stalls[in], 1u);
  EXPECT_EQ(switch_flows().at(0).to_target.credit, 0u);
  pair.guest.ResumeReading();
  RunUntil([&] { return pair.guest.received_bytes() == kBytes; });
  EXPECT_GT(stats(3).guest_port.stalled_nanoseconds[in], 0u);
}

TEST_F(StatisticsTest, WhatWaitsForAHostProgramIsToldUntilItIsRead) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectFromHost(guest);
  pair.program->PauseReading();
  pair.program->ExpectPattern(1);
  pair.guest.SendPattern(1, kBytes);
  RunUntil([&] { return stats(3).host_port.buffered_bytes > 0; });
  EXPECT_EQ(stats(3).guest_port.buffered_bytes, 0u);
  pair.program->ResumeReading();
  RunUntil([&] { return pair.program->received_bytes() == kBytes; });
  RunUntil([&] { return stats(3).host_port.buffered_bytes == 0; });
  EXPECT_GT(stats(3).from_guest_copied_bytes, 0u);
}

TEST_F(StatisticsTest, NothingIsForgottenWhenTheVmmComesBack) {
  constexpr uint64_t kBytes = 10'000;
  SimulatedGuest& mortal = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  auto [client, server] = Connect(mortal, sibling);
  client.SendPattern(1, kBytes);
  server.ExpectPattern(1);
  RunUntil([&, s = server] { return s.received_bytes() == kBytes; });
  const DeviceTotals before = stats(3);
  EXPECT_EQ(before.front_end_connects, 1u);
  EXPECT_GT(before.front_end_messages, 20u);

  mortal.Kill();
  RunUntil([s = server] { return s.closed(); });
  ASSERT_TRUE(mortal.PowerOn(vm(3).vhost_user_socket).ok());
  AwaitState(Cid(3), DeviceState::kActive);
  EXPECT_EQ(stats(3).from_guest_sibling_bytes, kBytes);
  EXPECT_EQ(stats(3).front_end_connects, 2u);
  RunUntil([&] { return stats(3).front_end_messages >= 2 * before.front_end_messages; });
  EXPECT_EQ(stats(3).front_end_errors + stats(3).front_end_refused_messages, 0u);
  EXPECT_EQ(Closed(stats(3), CloseReason::kPeerGone), 1u);
  EXPECT_EQ(Closed(stats(4), CloseReason::kPeerGone), 1u);

  Connect(mortal, sibling);
  EXPECT_EQ(Accepted(stats(3), Direction::kOut), 2u);
  EXPECT_EQ(Accepted(stats(4), Direction::kIn), 2u);
}

}  // namespace
}  // namespace kinsock::testing
