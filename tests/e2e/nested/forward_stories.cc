// SPDX-License-Identifier: Apache-2.0
//
// A guest whose host side is this machine's own AF_VSOCK: kinsockd --vm ...,forward-cid=1,forward-listen=9001.
#include <string>

#include "tests/e2e/nested/forward_fixture.h"

namespace kinsock::testing {
namespace {

using ::testing::HasSubstr;

class ForwardWayTest : public ForwardTest, public ::testing::WithParamInterface<bool> {
 protected:
  Pair ConnectThisWay(SimulatedGuest& guest) { return GetParam() ? ConnectFromHost(guest) : ConnectToHost(guest); }
};
INSTANTIATE_TEST_SUITE_P(Initiator, ForwardWayTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Host" : "Guest"; });

TEST_P(ForwardWayTest, TensOfMebibytesBothWaysAtOnce) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  Exchange(pair, 1, 32u << 20);
}

TEST_P(ForwardWayTest, TheHostClosesItsHalf) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.program->Send("question");
  pair.program->ShutdownSend();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_EQ(pair.guest.Received(), "question");
  EXPECT_TRUE(pair.guest.established());

  pair.guest.Send("answer");
  pair.guest.Close();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->Received(), "answer");
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_FALSE(pair.guest.was_reset());
}

TEST_P(ForwardWayTest, TheGuestClosesItsHalf) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.guest.Send("question");
  pair.guest.ShutdownSend();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_EQ(pair.program->Received(), "question");

  pair.program->Send("answer");
  RunUntil([&] { return pair.guest.Received() == "answer"; });
  pair.program->Close();
  RunUntil([&] { return pair.guest.at_eof(); });
  pair.guest.Close();
  RunUntil([&] { return pair.guest.closed(); });
}

// AF_VSOCK reports no hang-up: only a second look tells this from a closed half.
TEST_P(ForwardWayTest, TheHostProgramExits) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.program->Send("last words");
  pair.program->Close();
  RunUntil([&] { return guest.received(VIRTIO_VSOCK_OP_SHUTDOWN) == 2; });
  EXPECT_EQ(pair.guest.Received(), "last words");
  pair.guest.Send("too late");
  RunUntil([&] { return pair.guest.closed(); });
}

TEST_P(ForwardWayTest, TheHostProgramClosesItsHalfAndExitsLater) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.program->ShutdownSend();
  RunUntil([&] { return pair.guest.at_eof(); });
  pair.guest.Send("heard?");
  RunUntil([&] { return pair.program->Received() == "heard?"; });
  EXPECT_EQ(guest.received(VIRTIO_VSOCK_OP_SHUTDOWN), 1u);
  pair.program->Close();
  RunUntil([&] { return guest.received(VIRTIO_VSOCK_OP_SHUTDOWN) == 2; });
}

TEST_P(ForwardWayTest, TheGuestProgramResets) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.guest.Reset();
  RunUntil([&] { return pair.program->at_eof(); });
}

TEST_P(ForwardWayTest, AKilledVmmIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  guest.Kill();
  RunUntil([&] { return pair.program->at_eof(); });
}

TEST_P(ForwardWayTest, AHostProgramThatDoesNotReadHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.program->PauseReading();
  pair.program->ExpectPattern(1);
  pair.guest.SendPattern(1, kBytes);
  // More than the kernel and the daemon hold between them: the rest waits in the guest.
  RunUntil([&] { return pair.guest.sent_bytes() > 256u << 10; });
  Pair other = ConnectFromHost(guest, 9002);
  Exchange(other, 5, 1u << 20);
  EXPECT_LT(pair.guest.sent_bytes(), 2u << 20);

  pair.program->ResumeReading();
  RunUntil([&] { return pair.program->received_bytes() >= kBytes; });
  EXPECT_EQ(pair.program->Verdict(kBytes), "exact");
}

TEST_P(ForwardWayTest, AGuestThatDoesNotReadHoldsUpOnlyItself) {
  constexpr uint64_t kBytes = 4u << 20;
  SimulatedGuest& guest = BootOne();
  Pair pair = ConnectThisWay(guest);
  pair.guest.PauseReading();
  pair.guest.ExpectPattern(1);
  pair.program->SendPattern(1, kBytes);
  Pair other = ConnectFromHost(guest, 9002);
  Exchange(other, 5, 1u << 20);
  EXPECT_LE(pair.guest.connection().unread(), 256u << 10);

  pair.guest.ResumeReading();
  RunUntil([&] { return pair.guest.received_bytes() >= kBytes; });
  EXPECT_EQ(pair.guest.Verdict(kBytes), "exact");
}

TEST_F(ForwardTest, NobodyListens) {
  SimulatedGuest& guest = BootOne();
  const auto began = std::chrono::steady_clock::now();
  const Stream stream = guest.Connect(VMADDR_CID_HOST, 7777);
  RunUntil([&] { return stream.closed(); });
  EXPECT_TRUE(stream.was_reset());
  // Half of the time that a guest would wait for a host that does not answer.
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST_F(ForwardTest, AGuestWithoutAListenerIsEndOfFileForTheProgram) {
  BootOne();
  HybridClient program(stage(), CallHost(9001));
  RunUntil([&] { return program.at_eof(); });
}

TEST_F(ForwardTest, WithoutAGuestProgramsAreLetGoAtOnce) {
  StartDaemon({Vm(42, "forward-cid=1,forward-listen=9001")});
  HybridClient program(stage(), CallHost(9001));
  RunUntil([&] { return program.at_eof(); });
}

TEST_F(ForwardTest, TheGuestKnowsTheProgramByItsPort) {
  SimulatedGuest& guest = BootOne();
  guest.Listen(9001);
  UniqueFd fd = CallHost(9001);
  const uint32_t port = LocalPort(fd);
  HybridClient program(stage(), std::move(fd));
  EXPECT_EQ(guest.Accept(9001).connection().key().peer_port, port);
}

TEST_F(ForwardTest, WhatAProgramSaysBeforeTheGuestAnswersIsKept) {
  SimulatedGuest& guest = BootOne();
  guest.Listen(9001);
  guest.set_frozen(true);
  HybridClient program(stage(), CallHost(9001));
  program.Send("impatient");
  program.ShutdownSend();
  RunUntil([&] { return program.all_sent(); });
  guest.set_frozen(false);
  const Stream stream = guest.Accept(9001);
  RunUntil([&] { return stream.at_eof(); });
  EXPECT_EQ(stream.Received(), "impatient");
}

// Their groups say no; the host's ports are no way around.
TEST_F(ForwardTest, AGuestDoesNotReachAnotherThroughTheHost) {
  StartDaemon({Vm(42, "forward-cid=1,forward-listen=9001,groups=red"),
               Vm(43, "forward-cid=1,forward-listen=9002,groups=blue")});
  SimulatedGuest& red = Boot(42);
  SimulatedGuest& blue = Boot(43);
  blue.Listen(9002);
  red.Listen(9001);
  for (const Port port : {9002u, 9001u}) {
    const Stream stream = red.Connect(VMADDR_CID_HOST, port);
    RunUntil([&] { return stream.closed(); });
    EXPECT_TRUE(stream.was_reset());
  }
  EXPECT_EQ(blue.received(VIRTIO_VSOCK_OP_REQUEST), 0u);
  EXPECT_EQ(red.received(VIRTIO_VSOCK_OP_REQUEST), 0u);
  Pair still = ConnectFromHost(blue, 9002);
  Exchange(still, 1, 100'000);
}

TEST_F(ForwardTest, APortOfAnotherProgramIsLeftAlone) {
  const UniqueFd listener = ListenOnHost(9001);
  ASSERT_TRUE(listener.valid());
  EXPECT_THAT(Refusal({Vm(42, "forward-cid=1,forward-listen=9001")}),
              HasSubstr("vm.spec.vsock_proxy.listen_ports: AF_VSOCK port 9001 is in use by another process of this "
                        "host; choose another"));
}

TEST_F(ForwardTest, APortHasOneVm) {
  EXPECT_THAT(Refusal({Vm(42, "forward-cid=1,forward-listen=9001"), Vm(43, "forward-cid=1,forward-listen=9001")}),
              HasSubstr("--vm 2: forward_listen port \"9001\" is already that of the VM at --vm 1"));
}

TEST_F(ForwardTest, APortIsFreeWhenItsDaemonIsGone) {
  StartDaemon({Vm(42, "forward-cid=1,forward-listen=9001")});
  TearDown();
  EXPECT_TRUE(ListenOnHost(9001).valid());
}

}  // namespace
}  // namespace kinsock::testing
