// SPDX-License-Identifier: Apache-2.0
//
// Connections of type SEQPACKET that cannot be, and guests that abuse them: a reset at once, and nobody else notices.
#include <string>
#include <vector>

#include "tests/support/messages.h"
#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint16_t kSeqpacket = VIRTIO_VSOCK_TYPE_SEQPACKET;
constexpr uint32_t kWindow = 256 * 1024;

class SeqpacketRefusalTest : public SwitchTest {
 protected:
  static GuestOptions OldDriver() {
    GuestOptions options;
    options.seqpacket = false;
    return options;
  }
  void ExpectRefused(SimulatedGuest& from, uint64_t to, Port port = 80, uint16_t type = kSeqpacket) {
    Stream call = from.Connect(to, port, type);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
    AwaitNoFlows();
  }
  VsockPacket MessagePacket(const SimulatedGuest& from, const Stream& stream, uint64_t to, std::string payload,
                            uint32_t flags) {
    VsockPacket packet = from.Packet(VIRTIO_VSOCK_OP_RW, stream.local_port(), to, Port(80));
    packet.type = kSeqpacket;
    packet.payload = std::move(payload);
    packet.flags = flags;
    return packet;
  }
};

TEST_F(SeqpacketRefusalTest, TheCalledDriverDoesNotKnowMessages) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& old = Boot(Cid(4), OldDriver());
  old.Listen(Port(80), kSeqpacket);
  ExpectRefused(caller, old.cid());
  EXPECT_EQ(old.received_packets(), 0u);
  Connect(caller, old, Port(81));
}

TEST_F(SeqpacketRefusalTest, TheCallingDriverDidNotAcknowledgeThem) {
  SimulatedGuest& old = Boot(Cid(3), OldDriver());
  SimulatedGuest& called = Boot(Cid(4));
  called.Listen(Port(80), kSeqpacket);
  ExpectRefused(old, called.cid());
  EXPECT_EQ(called.received_packets(), 0u);
  ExpectRefused(old, 2);
  Connect(old, called, Port(81));
}

TEST_F(SeqpacketRefusalTest, AVmMayBeDeniedMessages) {
  Backend::VmOptions streams_only;
  streams_only.seqpacket = false;
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& denied = Boot(Cid(4), {}, streams_only);
  EXPECT_EQ(denied.machine().features() & (1u << VIRTIO_VSOCK_F_SEQPACKET), 0u);
  ExpectRefused(caller, denied.cid());
  ExpectRefused(denied, caller.cid());
  Connect(caller, denied);
}

// What a driver acknowledged is gone with it (CVE-2024-43873).
TEST_F(SeqpacketRefusalTest, ANewDriverHasToAcknowledgeAnew) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& called = Boot(Cid(4));
  Pair pair = Connect(caller, called, Port(80), kSeqpacket);
  called.Kill();
  RunUntil([&] { return pair.client.closed(); });
  AwaitState(4, DeviceState::kListening);

  SimulatedGuest& successor = NewGuest(OldDriver());
  ASSERT_TRUE(successor.PowerOn(vm(4).vhost_user_socket).ok());
  AwaitState(4, DeviceState::kActive);
  successor.Listen(Port(80), kSeqpacket);
  ExpectRefused(caller, successor.cid());
  EXPECT_EQ(successor.received_packets(), 0u);
}

TEST_F(SeqpacketRefusalTest, TheListenerHasAnotherType) {
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& called = Boot(Cid(4));
  called.Listen(Port(80));
  called.Listen(Port(81), kSeqpacket);
  ExpectRefused(caller, called.cid(), Port(80), kSeqpacket);
  ExpectRefused(caller, called.cid(), Port(81), VIRTIO_VSOCK_TYPE_STREAM);
}

// Neither type may be used on a connection of the other.
TEST_F(SeqpacketRefusalTest, APacketOfTheOtherTypeEndsTheConnection) {
  SimulatedGuest& liar = Boot(Cid(3));
  SimulatedGuest& honest = Boot(Cid(4));
  IgnoreViolationsOf(liar);
  for (const uint16_t type : {kSeqpacket, uint16_t{VIRTIO_VSOCK_TYPE_STREAM}}) {
    Pair pair = Connect(liar, honest, Port(type), type);
    VsockPacket packet = liar.Packet(VIRTIO_VSOCK_OP_RW, pair.client.local_port(), honest.cid(), Port(type));
    packet.type = type == kSeqpacket ? VIRTIO_VSOCK_TYPE_STREAM : kSeqpacket;
    packet.payload = "which one?";
    packet.flags = packet.type == kSeqpacket ? VIRTIO_VSOCK_SEQ_EOM : 0;
    liar.SendRaw(packet);
    RunUntil([&] { return pair.client.closed() && pair.server.closed(); });
    EXPECT_TRUE(pair.server.was_reset());
    EXPECT_EQ(pair.server.received_bytes(), 0u);
    EXPECT_THAT(pair.server.Messages(), IsEmpty());
    AwaitNoFlows();
  }
}

// All flag bits on every packet: the other end sees those that mean something there.
TEST_F(SeqpacketRefusalTest, FlagsWithoutMeaningReachNobody) {
  SimulatedGuest& liar = Boot(Cid(3));
  SimulatedGuest& honest = Boot(Cid(4));
  IgnoreViolationsOf(liar);  // it does not count what it sends past its socket
  Pair pair = Connect(liar, honest, Port(80), kSeqpacket);
  liar.SendRaw(MessagePacket(liar, pair.client, 4, "one ", ~uint32_t{VIRTIO_VSOCK_SEQ_EOM}));
  liar.SendRaw(MessagePacket(liar, pair.client, 4, "message", ~uint32_t{0}));
  VsockPacket update = MessagePacket(liar, pair.client, 4, "", ~uint32_t{0});
  update.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
  liar.SendRaw(update);
  RunUntil([&] { return pair.server.Messages().size() == 1; });
  RunUntilIdle();
  EXPECT_THAT(pair.server.Messages(), ElementsAre("one message"));
  EXPECT_EQ(pair.server.records(), 1u);

  Pair stream = Connect(liar, honest, Port(81));
  VsockPacket packet = liar.Packet(VIRTIO_VSOCK_OP_RW, stream.client.local_port(), 4, Port(81));
  packet.payload = "bytes";
  packet.flags = ~uint32_t{0};
  liar.SendRaw(packet);
  RunUntil([&] { return stream.server.Received() == "bytes"; });
}

TEST_F(SeqpacketRefusalTest, AMessageWithoutEndIsBoundByTheWindow) {
  SimulatedGuest& liar = Boot(Cid(3));
  SimulatedGuest& honest = Boot(Cid(4));
  SimulatedGuest& other = Boot(Cid(5));
  IgnoreViolationsOf(liar);
  Pair pair = Connect(liar, honest, Port(80), kSeqpacket);
  Pair besides = Connect(other, honest, Port(81), kSeqpacket);
  for (int i = 0; i < 16; ++i) {
    liar.SendRaw(MessagePacket(liar, pair.client, 4, std::string(32 * 1024, 'x'), 0));
  }
  RunUntil([&] { return pair.client.closed() && pair.server.closed(); });
  EXPECT_LE(pair.server.connection().unread(), kWindow);
  EXPECT_THAT(pair.server.Messages(), IsEmpty());
  besides.client.SendMessage("not delayed");
  RunUntil([&] { return besides.server.Messages().size() == 1; });
}

// No credit pays for an empty message: what waits of them is bounded by number.
TEST_F(SeqpacketRefusalTest, AFloodOfEmptyMessagesToASleeperIsReset) {
  GuestOptions small_ring;
  small_ring.ring_entries = 16;
  SimulatedGuest& flooder = Boot(Cid(3), small_ring);
  SimulatedGuest& sleeper = Boot(Cid(4));
  SimulatedGuest& awake = Boot(Cid(5));
  Pair pair = Connect(flooder, sleeper, Port(80), kSeqpacket);
  Pair besides = Connect(awake, sleeper, Port(81), kSeqpacket);
  sleeper.set_frozen(true);
  for (int i = 0; i < 5000; ++i) pair.client.SendMessage("");
  RunUntil([&] { return pair.client.closed(); });
  EXPECT_TRUE(pair.client.was_reset());
  Pair other = Connect(flooder, awake, Port(82), kSeqpacket);
  other.client.SendMessage("not delayed");
  RunUntil([&] { return other.server.Messages().size() == 1; });

  sleeper.set_frozen(false);
  besides.client.SendMessage("still here");
  RunUntil([&] { return besides.server.Messages().size() == 1 && pair.server.closed(); });
  EXPECT_LE(pair.server.Messages().size(), 1000u);  // buffers that were posted, and what may wait
}

TEST_F(SeqpacketRefusalTest, AFloodOfEmptyPacketsMovesNothing) {
  SimulatedGuest& flooder = Boot(Cid(3));
  SimulatedGuest& honest = Boot(Cid(4));
  Pair pair = Connect(flooder, honest, Port(80), kSeqpacket);
  const uint64_t before = honest.received_packets();
  for (int i = 0; i < 5000; ++i) pair.client.SendUnfinished("");
  pair.client.SendMessage("after all");
  RunUntil([&] { return !pair.server.Messages().empty(); });
  EXPECT_THAT(pair.server.Messages(), ElementsAre("after all"));
  EXPECT_EQ(honest.received_packets() - before, 1u);
}

}  // namespace
}  // namespace kinsock::testing
