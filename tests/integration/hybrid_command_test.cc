// SPDX-License-Identifier: Apache-2.0
//
// A host program reaches a guest: the CONNECT command, and each point on which implementations and clients disagree.
#include <set>
#include <string>
#include <vector>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

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

}  // namespace
}  // namespace kinsock::testing
