// SPDX-License-Identifier: Apache-2.0
//
// Host programs and guests: the hybrid AF_UNIX protocol, each point on which implementations and clients disagree.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/switch_test.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

class HybridTest : public SwitchTest {
 protected:
  struct HostPair {
    std::unique_ptr<HybridClient> program;
    Stream guest;
  };

  // A host program connected to a program in `guest`.
  HostPair ConnectFromHost(SimulatedGuest& guest, Port port = 80) {
    guest.Listen(port);
    auto program = std::make_unique<HybridClient>(stage(), uds_path(static_cast<Cid>(guest.cid())));
    program->Connect(port);
    Stream stream = guest.Accept(port);
    RunUntil([&] { return program->ok_port().has_value(); });
    return {std::move(program), stream};
  }

  // A program in `guest` connected to a host program that listens on `port`.
  HostPair ConnectToHost(SimulatedGuest& guest, Port port = 1234) {
    HybridListener listener(uds_path(static_cast<Cid>(guest.cid())), port);
    Stream stream = guest.Connect(2, port);
    std::optional<UniqueFd> accepted;
    RunUntil([&] { return accepted.has_value() || (accepted = listener.TryAccept()).has_value(); });
    RunUntil([&] { return stream.established(); });
    unlink(listener.path().c_str());
    return {std::make_unique<HybridClient>(stage(), accepted ? std::move(*accepted) : UniqueFd()), stream};
  }

  void Exchange(HostPair& pair, uint32_t seed, uint64_t bytes) {
    pair.guest.ExpectPattern(seed);
    pair.program->SendPattern(seed, bytes);
    pair.program->ExpectPattern(seed + 1);
    pair.guest.SendPattern(seed + 1, bytes);
    RunUntil([&] { return pair.guest.received_bytes() >= bytes && pair.program->received_bytes() >= bytes; });
    EXPECT_EQ(pair.guest.Verdict(bytes), "exact");
    EXPECT_EQ(pair.program->Verdict(bytes), "exact");
  }
};

// --- Host to guest.

TEST_F(HybridTest, BytesArriveBothWays) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (const uint64_t bytes : {1u, 3732u, 65536u, 100'000u, 4u << 20}) {
    SCOPED_TRACE(bytes);
    HostPair pair = ConnectFromHost(guest);
    Exchange(pair, 1, bytes);
  }
}

TEST_F(HybridTest, ThirtyTwoProgramsAtOnce) {
  SimulatedGuest& guest = Boot(Cid(3));
  std::vector<HostPair> pairs;
  for (int i = 0; i < 32; ++i) pairs.push_back(ConnectFromHost(guest));
  uint32_t seed = 1;
  for (HostPair& pair : pairs) {
    pair.guest.ExpectPattern(seed);
    pair.program->SendPattern(seed++, 256 * 1024);
  }
  for (HostPair& pair : pairs) {
    RunUntil([&] { return pair.guest.received_bytes() >= 256 * 1024; });
    EXPECT_EQ(pair.guest.Verdict(256 * 1024), "exact");
  }
}

TEST_F(HybridTest, TheCommandMayBeInAnyLetterCase) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (const char* command : {"CONNECT 80\n", "connect 80\n", "Connect 80\n", "cOnNeCt 80\n"}) {
    HybridClient program(stage(), uds_path(3));
    program.Send(command);
    Stream stream = guest.Accept(Port(80));
    RunUntil([&] { return program.Received().ends_with("\n"); });
    EXPECT_TRUE(program.Received().starts_with("OK ")) << program.Received();
  }
}

TEST_F(HybridTest, TheAnswerNamesAPortOfTheDynamicRange) {
  SimulatedGuest& guest = Boot(Cid(3));
  std::vector<HostPair> pairs;
  std::set<uint32_t> ports;
  for (int i = 0; i < 10; ++i) {
    pairs.push_back(ConnectFromHost(guest));
    const uint32_t port = pairs.back().program->ok_port().value_or(0);
    EXPECT_GE(port, 49152u);
    EXPECT_LE(port, 65535u);
    EXPECT_EQ(port, pairs.back().guest.connection().key().peer_port);
    EXPECT_EQ(pairs.back().guest.connection().key().peer_cid, 2u);
    ports.insert(port);
  }
  EXPECT_EQ(ports.size(), 10u);
}

TEST_F(HybridTest, TheCommandMayComeInPieces) {
  SimulatedGuest& guest = Boot(Cid(3));
  guest.Listen(Port(80));
  HybridClient program(stage(), uds_path(3));
  for (const char letter : std::string("CONNECT 80\n")) {
    program.Send(std::string(1, letter));
    RunUntilIdle();
  }
  RunUntil([&] { return program.Received().starts_with("OK "); });
}

TEST_F(HybridTest, BytesBehindTheCommandAreDelivered) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridClient program(stage(), uds_path(3));
  program.Send("CONNECT 80\nfirst words\nand second");
  Stream stream = guest.Accept(Port(80));
  RunUntil([&] { return stream.Received() == "first words\nand second"; });
  program.Send(" and third");
  RunUntil([&] { return stream.Received() == "first words\nand second and third"; });
}

TEST_F(HybridTest, ManyBytesBehindTheCommandAreDelivered) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridClient program(stage(), uds_path(3));
  program.Send("CONNECT 80\n");
  program.SendPattern(1, 1u << 20);
  Stream stream = guest.Accept(Port(80));
  stream.ExpectPattern(1);
  RunUntil([&] { return stream.received_bytes() >= 1u << 20; });
  EXPECT_EQ(stream.Verdict(1u << 20), "exact");
}

TEST_F(HybridTest, AnEndBehindTheCommandIsAHalfClose) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridClient program(stage(), uds_path(3));
  program.Send("CONNECT 80\nquestion");
  program.ShutdownSend();
  Stream stream = guest.Accept(Port(80));
  RunUntil([&] { return stream.at_eof(); });
  EXPECT_EQ(stream.Received(), "question");
  stream.Send("answer");
  stream.Close();
  RunUntil([&] { return program.at_eof(); });
  EXPECT_TRUE(program.Received().ends_with("\nanswer")) << program.Received();
}

class BadCommandTest : public HybridTest, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, BadCommandTest,
                         ::testing::Values("\n", "HELLO 80\n", "CONNECT\n", "CONNECT \n", "CONNECT80\n", "CONNECT -1\n",
                                           "CONNECT +80\n", "CONNECT 4294967296\n", "CONNECT 99999999999999999999\n",
                                           "CONNECT 0x50\n", "CONNECT 80 90\n", "CONNECT 80x\n", "CONNECT\t80\n",
                                           " CONNECT 80\n", "CONNECT eighty\n", std::string("CONNECT 8\0000\n", 12),
                                           std::string("\0\n", 2), std::string(33, 'C'), std::string(1u << 20, 'C'),
                                           "CONNECT 000000000000000000000000000000000000080\n"));

TEST_P(BadCommandTest, ClosesTheConnection) {
  SimulatedGuest& guest = Boot(Cid(3));
  guest.Listen(Port(80));
  HybridClient program(stage(), uds_path(3));
  program.Send(GetParam());
  RunUntil([&] { return program.at_eof() || program.broken(); });
  RunUntilIdle();
  EXPECT_EQ(program.Received(), "");
  EXPECT_EQ(guest.received_packets(), 0u);
}

TEST_F(HybridTest, AnEndBeforeTheNewlineIsNoCommand) {
  SimulatedGuest& guest = Boot(Cid(3));
  guest.Listen(Port(80));
  for (const char* command : {"", "CONN", "CONNECT 80"}) {
    HybridClient program(stage(), uds_path(3));
    program.Send(command);
    program.ShutdownSend();
    RunUntil([&] { return program.at_eof(); });
    EXPECT_EQ(program.Received(), "");
  }
  RunUntilIdle();
  EXPECT_EQ(guest.received_packets(), 0u);
}

TEST_F(HybridTest, ARefusalClosesTheConnection) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridClient program(stage(), uds_path(3));
  program.Connect(81);
  RunUntil([&] { return program.at_eof(); });
  EXPECT_FALSE(program.ok_port().has_value());
  EXPECT_EQ(program.Received(), "");
  EXPECT_EQ(guest.received(VIRTIO_VSOCK_OP_REQUEST), 1u);
  AwaitNoFlows();
}

TEST_F(HybridTest, NobodyIsHomeYet) {
  AddVm(Cid(3));
  HybridClient program(stage(), uds_path(3));
  program.Connect(80);
  RunUntil([&] { return program.at_eof() || program.broken(); });
  EXPECT_EQ(program.Received(), "");

  SimulatedGuest& guest = NewGuest();
  ASSERT_TRUE(guest.PowerOn(vm(3).vhost_user_socket).ok());
  AwaitState(Cid(3), DeviceState::kActive);
  ConnectFromHost(guest);
}

// These two take the two seconds that the handshake may last.
TEST_F(HybridTest, AGuestThatDoesNotAnswerIsGivenUp) {
  SimulatedGuest& guest = Boot(Cid(3));
  guest.set_frozen(true);
  HybridClient program(stage(), uds_path(3));
  program.Connect(80);
  RunUntil([&] { return program.at_eof(); });
  EXPECT_FALSE(program.ok_port().has_value());

  guest.Capture(Port(80));
  guest.set_frozen(false);
  RunUntil([&] { return guest.captured().size() == 2; });
  EXPECT_EQ(guest.captured().front().op, VIRTIO_VSOCK_OP_REQUEST);
  EXPECT_EQ(guest.captured().back().op, VIRTIO_VSOCK_OP_RST);
}

TEST_F(HybridTest, AProgramThatSaysNothingIsGivenUp) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridClient silent(stage(), uds_path(3));
  HybridClient halfway(stage(), uds_path(3));
  halfway.Send("CONNECT 8");
  RunUntil([&] { return silent.at_eof() && halfway.at_eof(); });
  EXPECT_EQ(guest.received_packets(), 0u);
}

// --- Guest to host.

TEST_F(HybridTest, AGuestReachesAHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  for (const Port port : {0u, 1u, 1234u, 65536u, 0xffff'fffeu}) {
    HostPair pair = ConnectToHost(guest, port);
    Exchange(pair, 1, 200'000);
  }
}

TEST_F(HybridTest, NoHostProgramNoConnection) {
  SimulatedGuest& guest = Boot(Cid(3));
  const std::string base = uds_path(3) + "_";
  std::ofstream(base + "1") << "a regular file";
  ASSERT_EQ(mkdir((base + "2").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo((base + "3").c_str(), 0600), 0);
  { HybridListener gone(uds_path(3), 4); }  // its socket file stays behind
  HybridListener elsewhere(uds_path(3) + "-elsewhere", 5);
  ASSERT_EQ(symlink(elsewhere.path().c_str(), (base + "5").c_str()), 0);
  ASSERT_EQ(symlink("/dev/zero", (base + "6").c_str()), 0);
  ASSERT_EQ(symlink((base + "7").c_str(), (base + "7").c_str()), 0);

  for (Port port = 0; port <= 7; ++port) {
    SCOPED_TRACE(port);
    Stream call = guest.Connect(2, port);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
  }
  EXPECT_FALSE(elsewhere.TryAccept().has_value());
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_F(HybridTest, ADatagramSocketIsNoListener) {
  SimulatedGuest& guest = Boot(Cid(3));
  const UniqueFd datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (uds_path(3) + "_80").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(datagram.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  Stream call = guest.Connect(2, Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
}

TEST_F(HybridTest, AFullBacklogIsARefusalAndDelaysNobody) {
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  HybridListener busy(uds_path(3), 80, 0);
  std::vector<Stream> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(guest.Connect(2, Port(80)));
  Connect(guest, sibling, Port(90));
  RunUntil([&] { return calls.back().closed(); });
  EXPECT_TRUE(calls.back().was_reset());
}

TEST_F(HybridTest, AVmWithoutAHostSideReachesNoHostProgram) {
  Backend::VmOptions alone;
  alone.host_side = false;
  SimulatedGuest& guest = Boot(Cid(3), {}, alone);
  Stream call = guest.Connect(2, Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
}

// --- Both.

class HybridWayTest : public HybridTest, public ::testing::WithParamInterface<bool> {
 protected:
  HostPair ConnectThisWay(SimulatedGuest& guest) { return GetParam() ? ConnectFromHost(guest) : ConnectToHost(guest); }
};
INSTANTIATE_TEST_SUITE_P(Initiator, HybridWayTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Host" : "Guest"; });

TEST_P(HybridWayTest, TheHostClosesItsHalf) {
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
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_FALSE(pair.guest.was_reset());
  AwaitNoFlows();
}

TEST_P(HybridWayTest, TheGuestClosesItsHalf) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
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
  AwaitNoFlows();
}

TEST_P(HybridWayTest, TheHostProgramExits) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.program->Send("last words");
  pair.program->Close();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_EQ(pair.guest.Received(), "last words");
  pair.guest.Send("too late");
  RunUntil([&] { return pair.guest.closed(); });
  AwaitNoFlows();
}

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

TEST_P(HybridWayTest, TheGuestProgramResets) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  pair.guest.Reset();
  RunUntil([&] { return pair.program->at_eof(); });
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

TEST_P(HybridWayTest, AKilledVmmIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  guest.Kill();
  RunUntil([&] { return pair.program->at_eof(); });
  ASSERT_TRUE(guest.PowerOn(vm(3).vhost_user_socket).ok());
  AwaitState(Cid(3), DeviceState::kActive);
  HostPair again = ConnectThisWay(guest);
  Exchange(again, 3, 100'000);
}

TEST_P(HybridWayTest, ARemovedVmIsAnEndForTheHostProgram) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectThisWay(guest);
  RemoveVm(Cid(3));
  RunUntil([&] { return pair.program->at_eof(); });
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
