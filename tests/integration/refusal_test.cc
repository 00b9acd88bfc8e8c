// SPDX-License-Identifier: Apache-2.0
//
// What is refused is answered at once with a reset, an RST is never answered, and the one who was not to be reached
// sees nothing of it.
#include <string>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

constexpr Port kRaw = 5000;  // the hostile guest's side of what it makes up

class RefusalTest : public SwitchTest {
 protected:
  // Whether `answer` is the reset that `packet` deserves (virtio 1.3, 5.10.6.4).
  static void ExpectResetOf(const VsockPacket& packet, const VsockPacket& answer) {
    EXPECT_EQ(answer.op, VIRTIO_VSOCK_OP_RST) << ToString(answer);
    EXPECT_EQ(answer.src_cid, packet.dst_cid);
    EXPECT_EQ(answer.src_port, packet.dst_port);
    EXPECT_EQ(answer.dst_port, packet.src_port);
    EXPECT_EQ(answer.type, packet.type);
  }
};

TEST_F(RefusalTest, NobodyListensOnThePort) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& deaf = Boot(Cid(4));
  Stream call = caller.Connect(deaf.cid(), Port(81));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
  AwaitNoFlows();
}

TEST_F(RefusalTest, NobodyHasTheCid) {
  SimulatedGuest& caller = Boot(Cid(3));
  for (const uint64_t nobody : {99u, 0u, 1u, 3u, 0xffff'ffffu}) {
    SCOPED_TRACE(nobody);
    Stream call = caller.Connect(nobody, Port(80));
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
    // An answer from the reserved addresses, or from itself, is what this guest asked for.
    if (nobody < 4) caller.violations().Take();
  }
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_F(RefusalTest, TheOtherVmHasNoGuestYet) {
  SimulatedGuest& caller = Boot(Cid(3));
  AddVm(Cid(4));
  Stream call = caller.Connect(4, Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
}

TEST_F(RefusalTest, TheyShareNoGroup) {
  Backend::VmOptions left, right, both;
  left.groups = {"left"};
  right.groups = {"right", "other"};
  both.groups = {"other", "left"};
  SimulatedGuest& caller = Boot(Cid(3), {}, left);
  SimulatedGuest& stranger = Boot(Cid(4), {}, right);
  SimulatedGuest& friend_of_both = Boot(Cid(5), {}, both);

  stranger.Listen(Port(80));
  Stream call = caller.Connect(stranger.cid(), Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
  EXPECT_EQ(stranger.received_packets(), 0u);

  Connect(caller, friend_of_both);
  Connect(stranger, friend_of_both);
}

TEST_F(RefusalTest, AnEmptyGroupListReachesNobody) {
  Backend::VmOptions alone;
  alone.groups = {};
  SimulatedGuest& caller = Boot(Cid(3), {}, alone);
  SimulatedGuest& other = Boot(Cid(4), {}, alone);
  other.Listen(Port(80));
  Stream call = caller.Connect(other.cid(), Port(80));
  RunUntil([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
  EXPECT_EQ(other.received_packets(), 0u);
}

TEST_F(RefusalTest, AForgedSourceReachesNobody) {
  SimulatedGuest& forger = Boot(Cid(3));
  SimulatedGuest& victim = Boot(Cid(4));
  SimulatedGuest& bystander = Boot(Cid(5));
  IgnoreViolationsOf(forger);  // it may get the reset of what it made up
  victim.Listen(Port(80));
  bystander.Listen(Port(80));
  const std::vector<uint64_t> sources = {0, 1, 2, 4, 5, 0xffff'ffff, (uint64_t{1} << 32) | 3, ~uint64_t{0}};
  for (const uint64_t source : sources) {
    for (const uint16_t op : {VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_RST}) {
      VsockPacket packet = forger.Packet(op, kRaw, victim.cid(), Port(80));
      packet.src_cid = source;
      forger.SendRaw(packet);
    }
  }
  RunUntilIdle();
  EXPECT_EQ(victim.received_packets(), 0u);
  EXPECT_EQ(bystander.received_packets(), 0u);
  EXPECT_THAT(switch_flows(), IsEmpty());
  Connect(forger, victim);
}

TEST_F(RefusalTest, AForgedPacketDoesNotBreakAnothersConnection) {
  SimulatedGuest& forger = Boot(Cid(3));
  SimulatedGuest& client_guest = Boot(Cid(4));
  SimulatedGuest& server_guest = Boot(Cid(5));
  IgnoreViolationsOf(forger);
  auto [client, server] = Connect(client_guest, server_guest);
  for (const uint16_t op : {VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_OP_RW}) {
    VsockPacket packet = forger.Packet(op, client.local_port(), server_guest.cid(), Port(80));
    packet.src_cid = client_guest.cid();
    packet.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? 3 : 0;
    if (op == VIRTIO_VSOCK_OP_RW) packet.payload = "forged";
    forger.SendRaw(packet);
    // The same from its own address: a connection of the same ports, which does not exist.
    packet.src_cid = forger.cid();
    forger.SendRaw(packet);
  }
  RunUntilIdle();
  client.Send("genuine");
  RunUntil([&, s = server] { return s.Received() == "genuine"; });
  EXPECT_TRUE(client.established());
}

TEST_F(RefusalTest, ReservedBitsOfTheDestinationReachNobody) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  IgnoreViolationsOf(caller);  // the reset, if there is one, comes from such an address
  sibling.Listen(Port(80));
  caller.SendRaw(caller.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, (uint64_t{1} << 32) | 4, Port(80)));
  caller.SendRaw(caller.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, (uint64_t{1} << 63) | 4, Port(80)));
  RunUntilIdle();
  EXPECT_EQ(sibling.received_packets(), 0u);
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_F(RefusalTest, AnythingOnAnUnknownConnectionIsReset) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  sibling.Listen(Port(80));
  const std::vector<uint16_t> ops = {VIRTIO_VSOCK_OP_INVALID,
                                     VIRTIO_VSOCK_OP_RESPONSE,
                                     VIRTIO_VSOCK_OP_SHUTDOWN,
                                     VIRTIO_VSOCK_OP_RW,
                                     VIRTIO_VSOCK_OP_CREDIT_UPDATE,
                                     VIRTIO_VSOCK_OP_CREDIT_REQUEST,
                                     8,
                                     0x7fff,
                                     0xffff};
  for (const uint64_t destination : {4u, 2u, 99u}) {
    for (const uint16_t op : ops) {
      SCOPED_TRACE(::testing::Message() << "op " << op << " to " << destination);
      const VsockPacket packet = caller.Packet(op, kRaw, destination, Port(80));
      ExpectResetOf(packet, Answer(caller, packet));
    }
  }
  EXPECT_EQ(sibling.received_packets(), 0u);
}

TEST_F(RefusalTest, AResetIsNeverAnswered) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  caller.Capture(kRaw);
  for (const uint64_t destination : {4u, 2u, 99u, 3u, 0u}) {
    caller.SendRaw(caller.Packet(VIRTIO_VSOCK_OP_RST, kRaw, destination, Port(80)));
  }
  RunUntilIdle();
  EXPECT_THAT(caller.captured(), IsEmpty());
  EXPECT_EQ(sibling.received_packets(), 0u);
}

TEST_F(RefusalTest, NoOtherTypesAreOffered) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  sibling.Listen(Port(80));
  for (const uint16_t type : {uint16_t{0}, uint16_t{3}, uint16_t{0xffff}}) {
    for (const uint64_t destination : {4u, 2u}) {
      VsockPacket packet = caller.Packet(VIRTIO_VSOCK_OP_REQUEST, kRaw, destination, Port(80));
      packet.type = type;
      ExpectResetOf(packet, Answer(caller, packet));
    }
  }
  EXPECT_EQ(sibling.received_packets(), 0u);
}

TEST_F(RefusalTest, ASecondRequestDoesNotHarmTheFirst) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  auto [client, server] = Connect(caller, sibling);
  caller.SendRaw(caller.Packet(VIRTIO_VSOCK_OP_REQUEST, client.local_port(), sibling.cid(), Port(80)));
  RunUntilIdle();
  // Whether the switch lets the connection live or resets both ends: they agree, and the sibling saw nothing odd.
  EXPECT_EQ(client.closed(), server.closed());
}

TEST_F(RefusalTest, TooManyConnectionsAreReset) {
  Backend::VmOptions few;
  few.limits.max_connections = 4;
  SimulatedGuest& caller = Boot(Cid(3), {}, few);
  SimulatedGuest& sibling = Boot(Cid(4));
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(Connect(caller, sibling));
  Stream fifth = caller.Connect(sibling.cid(), Port(80));
  RunUntil([&] { return fifth.closed(); });
  EXPECT_TRUE(fifth.was_reset());

  pairs[0].client.Close();
  RunUntil([&] { return pairs[0].server.closed() && pairs[0].client.closed(); });
  RunUntilIdle();
  Connect(caller, sibling);
}

TEST_F(RefusalTest, TooManyUnansweredRequestsAreReset) {
  Backend::VmOptions few;
  few.limits.max_pending_connections = 4;
  SimulatedGuest& caller = Boot(Cid(3), {}, few);
  SimulatedGuest& silent = Boot(Cid(4));
  SimulatedGuest& sibling = Boot(Cid(5));
  silent.set_frozen(true);
  std::vector<Stream> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(caller.Connect(silent.cid(), Port(80)));
  RunUntilIdle();
  int refused = 0;
  for (const Stream& call : calls) refused += call.was_reset() ? 1 : 0;
  EXPECT_EQ(refused, 2);

  silent.set_frozen(false);
  RunUntil([&] { return calls[0].closed(); });  // nobody listens there
  RunUntilIdle();
  Connect(caller, sibling);
}

}  // namespace
}  // namespace kinsock::testing
