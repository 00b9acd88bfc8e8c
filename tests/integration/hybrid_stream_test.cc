// SPDX-License-Identifier: Apache-2.0
//
// Streams between host programs and guests, whoever began: how each end may flood, stall or pause. How else they end:
// host_way_test.
#include <string>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

class HybridWayTest : public HybridTest, public ::testing::WithParamInterface<bool> {
 protected:
  HostPair ConnectThisWay(SimulatedGuest& guest) { return GetParam() ? ConnectFromHost(guest) : ConnectToHost(guest); }
};
INSTANTIATE_TEST_SUITE_P(Initiator, HybridWayTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Host" : "Guest"; });

TEST_P(HybridWayTest, TheHostProgramExitsInAFlood) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (int i = 0; i < 20; ++i) {
    HostPair pair = ConnectThisWay(guest);
    pair.guest.SendPattern(1, 4u << 20);
    pair.program->SendPattern(2, 4u << 20);
    RunUntil([&] { return pair.program->received_bytes() > 100'000; });
    pair.program->Abort();
    RunUntil([&] { return pair.guest.closed(); });
  }
  AwaitNoFlows();
}

TEST_P(HybridWayTest, TheGuestProgramExits) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.Send("last words");
  pair.guest.Close();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->Received(), "last words");
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_FALSE(pair.guest.was_reset());
  AwaitNoFlows();
}

TEST_P(HybridWayTest, AHostProgramThatDoesNotReadHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  HostPair pair = ConnectThisWay(guest);
  pair.program->PauseReading();
  pair.program->ExpectPattern(1);
  pair.guest.SendPattern(1, kBytes);
  RunUntilIdle();
  // The socket's own buffer, and the window twice over.
  EXPECT_LT(pair.guest.sent_bytes(), 1u << 20);
  Connect(guest, sibling, Port(90));

  pair.program->ResumeReading();
  RunUntil([&] { return pair.program->received_bytes() >= kBytes; });
  EXPECT_EQ(pair.program->Verdict(kBytes), "exact");
}

TEST_P(HybridWayTest, AGuestThatDoesNotReadHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.PauseReading();
  pair.guest.ExpectPattern(1);
  pair.program->SendPattern(1, kBytes);
  RunUntilIdle();
  EXPECT_LE(pair.guest.connection().unread(), 256u * 1024);
  HostPair other = ConnectFromHost(guest, Port(81));
  Exchange(other, 5, 100'000);

  pair.guest.ResumeReading();
  RunUntil([&] { return pair.guest.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.guest.Verdict(kBytes), "exact");
}

TEST_P(HybridWayTest, AGuestWithoutBuffersHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 2u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.ExpectPattern(1);
  guest.StopPosting();
  pair.program->SendPattern(1, kBytes);
  RunUntilIdle();
  guest.ResumePosting();
  RunUntil([&] { return pair.guest.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.guest.Verdict(kBytes), "exact");
}

TEST_P(HybridWayTest, AResetGuestIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.program->SendPattern(1, 4u << 20);
  RunUntil([&] { return pair.guest.received_bytes() > 0; });
  ASSERT_TRUE(guest.Reset().ok());
  RunUntil([&] { return pair.program->at_eof(); });
  HostPair again = ConnectThisWay(guest);
  Exchange(again, 3, 100'000);
}

TEST_P(HybridWayTest, APausedGuestLosesNothing) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.ExpectPattern(1);
  pair.program->SendPattern(1, kBytes);
  pair.program->ExpectPattern(2);
  pair.guest.SendPattern(2, kBytes);
  for (const uint64_t milestone : {1u, 1u << 20, 2u << 20}) {
    RunUntil([&] { return pair.guest.received_bytes() >= milestone; });
    ASSERT_TRUE(guest.Suspend().ok());
    RunUntilIdle();
    ASSERT_TRUE(guest.Resume().ok());
  }
  RunUntil([&] { return pair.guest.received_bytes() >= kBytes && pair.program->received_bytes() >= kBytes; });
  EXPECT_EQ(pair.guest.Verdict(kBytes), "exact");
  EXPECT_EQ(pair.program->Verdict(kBytes), "exact");
}

// The guest's window on a connection to the host is all it may send unread.
TEST_P(HybridWayTest, MoreThanTheHostSideGrantedIsReset) {
  SimulatedGuest& liar = Boot(Cid(3));
  IgnoreViolationsOf(liar);
  HostPair pair = ConnectThisWay(liar);
  pair.program->PauseReading();
  for (int i = 0; i < 200; ++i) {
    const GuestConnection::Key& key = pair.guest.connection().key();
    VsockPacket packet = liar.Packet(VIRTIO_VSOCK_OP_RW, key.local_port, 2, key.peer_port);
    packet.payload = std::string(32 * 1024, 'x');
    liar.SendRaw(packet);
  }
  RunUntil([&] { return pair.guest.closed(); });
  HostPair again = ConnectFromHost(liar, Port(81));
  Exchange(again, 3, 100'000);
}

}  // namespace
}  // namespace kinsock::testing
