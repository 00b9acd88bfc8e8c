// SPDX-License-Identifier: Apache-2.0
//
// Sockets of the host joined to ports of a guest, in both directions and over each family: how connections are made,
// counted and refused. How they end: host_way_test.
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "device/host_side.h"
#include "tests/integration/forward_fixture.h"

namespace kinsock::testing {
namespace {

using std::chrono::milliseconds;

// Ends a TCP connection by RST.
void Break(UniqueFd socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

const auto kFamilies = ::testing::Values(HostFamily::kUnix, HostFamily::kTcp4, HostFamily::kTcp6);

// --- Either direction: once it is made, a connection is a connection. ---

class ForwardWayTest : public ForwardWay, public ::testing::WithParamInterface<std::tuple<bool, HostFamily>> {
 protected:
  HostPair ConnectThisWay(SimulatedGuest& guest) {
    return ConnectBy(std::get<0>(GetParam()), std::get<1>(GetParam()), guest);
  }
  ForwardStats& stats_of_forward() { return *forward().stats; }
};
INSTANTIATE_TEST_SUITE_P(Ways, ForwardWayTest, ::testing::Combine(::testing::Bool(), kFamilies), [](const auto& info) {
  return (std::get<0>(info.param) ? "ToGuest" : "FromGuest") + NameOf(std::get<1>(info.param));
});

TEST_P(ForwardWayTest, BytesArriveBothWaysAndAreCounted) {
  SimulatedGuest& guest = Boot(Cid(3));
  uint64_t total = 0;
  for (const uint64_t bytes : {1u, 3732u, 65536u, 2u << 20}) {
    SCOPED_TRACE(bytes);
    HostPair pair = ConnectThisWay(guest);
    Exchange(pair, 1, bytes);
    total += bytes;
    pair.guest.Close();
    RunUntil([&] { return pair.program->at_eof(); });
  }
  EXPECT_EQ(stats_of_forward().connects.value(), 4u);
  EXPECT_EQ(stats_of_forward().refused.value(), 0u);
  EXPECT_EQ(stats_of_forward().bytes_to_guest.value(), total);
  EXPECT_EQ(stats_of_forward().bytes_to_host.value(), total);
  EXPECT_EQ(stats(3).forward_connects, 4u);
  AwaitNoFlows();
  EXPECT_EQ(stats_of_forward().open.load(), 0);
}

TEST_P(ForwardWayTest, ManyAtOnce) {
  SimulatedGuest& guest = Boot(Cid(3));
  std::vector<HostPair> pairs;
  for (int i = 0; i < 32; ++i) pairs.push_back(ConnectThisWay(guest));
  EXPECT_EQ(stats_of_forward().open.load(), 32);
  uint32_t seed = 1;
  for (HostPair& pair : pairs) {
    Exchange(pair, seed, 100'000);
    seed += 2;
  }
}

TEST_P(ForwardWayTest, WhoDoesNotReadHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 24u << 20;  // beyond what a TCP socket's buffers grow to
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair stalled = ConnectThisWay(guest);
  stalled.program->PauseReading();
  stalled.program->ExpectPattern(1);
  stalled.guest.SendPattern(1, kBytes);
  RunUntilIdle();
  EXPECT_LT(stalled.guest.sent_bytes(), kBytes);
  HostPair other = ConnectThisWay(guest);
  Exchange(other, 5, 100'000);

  stalled.program->ResumeReading();
  RunUntil([&] { return stalled.program->received_bytes() >= kBytes; });
  EXPECT_EQ(stalled.program->Verdict(kBytes), "exact");
}

TEST_P(ForwardWayTest, OneThatGoesLeavesItsConnections) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  backend().RemoveForward(vm(3), forward().id);
  Exchange(pair, 1, 100'000);
  pair.guest.Close();
  RunUntil([&] { return pair.program->at_eof(); });
  AwaitNoFlows();
  EXPECT_EQ(stats_of_forward().open.load(), 0);
}

TEST_P(ForwardWayTest, OneThatGoesMayTakeItsConnectionsAlong) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  backend().RemoveForward(vm(3), forward().id, /*reset=*/true);
  RunUntil([&] { return pair.program->at_eof() && pair.guest.closed(); });
  EXPECT_TRUE(pair.guest.was_reset());
  EXPECT_EQ(LastCloseReason(), CloseReason::kAdminReset);
}

// --- To the guest ---

class ForwardToGuestTest : public ForwardTest, public ::testing::WithParamInterface<HostFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, ForwardToGuestTest, kFamilies, [](const auto& info) { return NameOf(info.param); });

TEST_P(ForwardToGuestTest, ARefusedPortClosesTheProgramAtOnce) {
  Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, GetParam());
  HybridClient program(stage(), StartConnecting(forward->host));
  RunUntil([&] { return program.at_eof(); });
  EXPECT_EQ(program.Received(), "");
  AwaitNoFlows();
  EXPECT_EQ(forward->stats->connects.value(), 1u);
  EXPECT_EQ(forward->stats->refused.value(), 1u);
  EXPECT_EQ(forward->stats->last_refusal.load(), CloseReason::kGuestReset);
  EXPECT_GT(forward->stats->last_refusal_ms.load(), 0);
  EXPECT_EQ(stats(3).forward_refused, 1u);
}

TEST_P(ForwardToGuestTest, WithoutAGuestTheProgramIsClosedAtOnce) {
  AddVm(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, GetParam());
  HybridClient program(stage(), StartConnecting(forward->host));
  RunUntil([&] { return program.at_eof(); });
  EXPECT_EQ(forward->stats->last_refusal.load(), CloseReason::kPeerGone);
}

TEST_P(ForwardToGuestTest, WhatTheProgramSaysEarlyIsDelivered) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, GetParam());
  guest.set_frozen(true);
  HybridClient program(stage(), StartConnecting(forward->host));
  program.Send("first words");
  program.ShutdownSend();
  RunUntil([&] { return program.all_sent(); });
  RunUntilIdle();
  guest.set_frozen(false);
  Stream stream = guest.Accept(80);
  RunUntil([&] { return stream.at_eof(); });
  EXPECT_EQ(stream.Received(), "first words");
}

TEST_P(ForwardToGuestTest, ChangedItLeadsToAnotherPort) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, GetParam());
  HostPair before = ConnectThrough(*forward, guest);
  backend().ChangeForward(vm(3), forward->id, 81, forward->host, false);
  guest.Listen(81);
  HybridClient program(stage(), StartConnecting(forward->host));
  Stream stream = guest.Accept(81);
  stream.Send("eighty-one");
  RunUntil([&] { return program.Received() == "eighty-one"; });
  Exchange(before, 1, 10'000);
}

TEST_F(ForwardTest, AProgramThatIsGoneBeforeTheGuestAnswersIsForgotten) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kTcp4);
  guest.Listen(80);
  guest.set_frozen(true);
  UniqueFd program = StartConnecting(forward->host);
  RunUntil([&] { return forward->stats->open.load() == 1; });
  Break(std::move(program));
  RunUntil([&] { return forward->stats->open.load() == 0; });
  EXPECT_EQ(forward->stats->last_refusal.load(), CloseReason::kHostClosed);
  guest.set_frozen(false);
  AwaitNoFlows();
}

TEST_F(ForwardTest, AnAbortedTcpConnectionIsAResetForTheGuest) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kTcp4);
  guest.Listen(80);
  UniqueFd program = StartConnecting(forward->host);
  Stream stream = guest.Accept(80);
  Break(std::move(program));
  RunUntil([&] { return stream.closed(); });
  EXPECT_TRUE(stream.was_reset());
  AwaitNoFlows();
  EXPECT_EQ(LastCloseReason(), CloseReason::kHostClosed);
}

TEST_F(ForwardTest, AGuestThatNeverAnswersIsGivenUp) {
  SimulatedGuest& guest = Boot(Cid(3));
  const auto forward = ForwardToGuest(Cid(3), 80, HostFamily::kUnix);
  guest.Capture(80);
  HybridClient program(stage(), StartConnecting(forward->host));
  RunUntil([&] { return !guest.captured().empty(); });
  clock.Advance(HostSide::kConnectTimeout);
  RunUntil([&] { return program.at_eof(); });
  EXPECT_EQ(forward->stats->last_refusal.load(), CloseReason::kConnectTimeout);
}

// --- From the guest ---

class ForwardFromGuestTest : public ForwardTest, public ::testing::WithParamInterface<HostFamily> {};
INSTANTIATE_TEST_SUITE_P(Families, ForwardFromGuestTest, kFamilies,
                         [](const auto& info) { return NameOf(info.param); });

TEST_P(ForwardFromGuestTest, ATargetThatIsMissingIsARefusal) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener target = HostListener::At(GetParam(), NewPath());
  const auto forward = ForwardFromGuest(Cid(3), 80, target.address);
  target.socket.reset();
  Stream stream = guest.Connect(kHostCid, 80);
  RunUntil([&] { return stream.closed(); });
  EXPECT_TRUE(stream.was_reset());
  EXPECT_EQ(LastCloseReason(), CloseReason::kNoListener);
  EXPECT_EQ(forward->stats->refused.value(), 1u);
  EXPECT_EQ(forward->stats->last_refusal.load(), CloseReason::kNoListener);
}

TEST_P(ForwardFromGuestTest, ATargetThatDoesNotAcceptIsARefusal) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener target = HostListener::At(GetParam(), NewPath(), /*backlog=*/0);
  // Its queue is full: who is in it already, and who finds no place in it.
  const HostConnection first = ConnectEndpoint(target.address), second = ConnectEndpoint(target.address);
  const auto forward = ForwardFromGuest(Cid(3), 80, target.address);
  Stream stream = guest.Connect(kHostCid, 80);
  for (int i = 0; i < 200 && !stream.closed(); ++i) {
    RunUntilIdle();
    clock.Advance(milliseconds(20));
  }
  RunUntil([&] { return stream.closed(); });
  EXPECT_TRUE(stream.was_reset());
  EXPECT_EQ(LastCloseReason(),
            GetParam() == HostFamily::kUnix ? CloseReason::kNoListener : CloseReason::kConnectTimeout);
}

TEST_P(ForwardFromGuestTest, ItStandsInForTheHybridSocketOfItsPortOnly) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridListener own(uds_path(3), 80), other(uds_path(3), 81);
  HostListener target = HostListener::At(GetParam(), NewPath());
  const auto forward = ForwardFromGuest(Cid(3), 80, target.address);
  HostPair pair = CallThrough(*forward, guest, target);
  EXPECT_FALSE(own.TryAccept().has_value());
  Stream to_other = guest.Connect(kHostCid, 81);
  RunUntil([&] { return to_other.established(); });
  EXPECT_TRUE(other.TryAccept().has_value());

  backend().RemoveForward(vm(3), forward->id);
  Stream to_own = guest.Connect(kHostCid, 80);
  RunUntil([&] { return to_own.established(); });
  EXPECT_TRUE(own.TryAccept().has_value());
}

TEST_P(ForwardFromGuestTest, ChangedItLeadsElsewhere) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener first = HostListener::At(GetParam(), NewPath());
  HostListener second = HostListener::At(HostFamily::kUnix, NewPath());
  const auto forward = ForwardFromGuest(Cid(3), 80, first.address);
  HostPair before = CallThrough(*forward, guest, first);
  backend().ChangeForward(vm(3), forward->id, 81, second.address, false);
  HostPair after = CallThrough(*forward, guest, second);
  Exchange(before, 1, 10'000);
  Exchange(after, 3, 10'000);
  Stream old_port = guest.Connect(kHostCid, 80);
  RunUntil([&] { return old_port.closed(); });
  EXPECT_TRUE(old_port.was_reset());
}

TEST_F(ForwardTest, AVmWithoutAHostSideMayHaveForwards) {
  Backend::VmOptions options;
  options.host_side = false;
  SimulatedGuest& guest = Boot(Cid(3), {}, options);
  Stream before = guest.Connect(kHostCid, 80);
  RunUntil([&] { return before.closed(); });

  HostListener target = HostListener::At(HostFamily::kTcp4, NewPath());
  const auto from = ForwardFromGuest(Cid(3), 80, target.address);
  const auto to = ForwardToGuest(Cid(3), 90, HostFamily::kUnix);
  HostPair called = CallThrough(*from, guest, target);
  HostPair connected = ConnectThrough(*to, guest);
  Exchange(called, 1, 10'000);
  Exchange(connected, 3, 10'000);
  Stream elsewhere = guest.Connect(kHostCid, 81);
  RunUntil([&] { return elsewhere.closed(); });
  EXPECT_TRUE(elsewhere.was_reset());
}

TEST_F(ForwardTest, MessagesAreNotForwarded) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostListener target = HostListener::At(HostFamily::kUnix, NewPath());
  ForwardFromGuest(Cid(3), 80, target.address);
  Stream stream = guest.Connect(kHostCid, 80, VIRTIO_VSOCK_TYPE_SEQPACKET);
  RunUntil([&] { return stream.closed(); });
  EXPECT_FALSE(target.TryAccept().has_value());
}

}  // namespace
}  // namespace kinsock::testing
