// SPDX-License-Identifier: Apache-2.0
//
// Two guests talk to each other: no byte is lost, repeated, reordered or delivered to the wrong stream, whatever the
// shape of the rings and buffers on either side.
#include <string>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

// How many threads serve the two guests: the same one, or one each.
class SiblingStreamTest : public SwitchTest, public ::testing::WithParamInterface<size_t> {
 protected:
  SiblingStreamTest() : SwitchTest(GetParam()) {}

  // Sends a pattern of `bytes` each way on every pair and awaits its arrival.
  void Exchange(std::vector<Pair>& pairs, uint64_t bytes) {
    uint32_t seed = 1;
    for (Pair& pair : pairs) {
      pair.server.ExpectPattern(seed);
      pair.client.SendPattern(seed++, bytes);
      pair.client.ExpectPattern(seed);
      pair.server.SendPattern(seed++, bytes);
    }
    RunUntil([&] {
      for (const Pair& pair : pairs) {
        if (pair.client.received_bytes() < bytes || pair.server.received_bytes() < bytes) return false;
      }
      return true;
    });
    for (const Pair& pair : pairs) {
      EXPECT_EQ(pair.client.Verdict(bytes), "exact");
      EXPECT_EQ(pair.server.Verdict(bytes), "exact");
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Reactors, SiblingStreamTest, ::testing::Values(1, 2));

TEST_P(SiblingStreamTest, HalfClosedStreamStillCarriesTheAnswer) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  Stream question = asker.Connect(teller.cid(), Port(80));
  Stream answer = teller.Accept(Port(80));

  question.Send("who is there?");
  question.ShutdownSend();
  RunUntilIdle();
  EXPECT_EQ(answer.Received(), "who is there?");
  EXPECT_TRUE(answer.at_eof());

  answer.Send("kin");
  answer.Close();
  RunUntilIdle();
  EXPECT_EQ(question.Received(), "kin");
  EXPECT_FALSE(question.was_reset());
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_P(SiblingStreamTest, TheOtherHalfCloses) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [question, answer] = Connect(asker, teller);

  answer.Send("welcome");
  answer.ShutdownSend();
  RunUntilIdle();
  EXPECT_EQ(question.Received(), "welcome");
  EXPECT_TRUE(question.at_eof());

  question.Send("good bye");
  question.Close();
  RunUntilIdle();
  EXPECT_EQ(answer.Received(), "good bye");
  EXPECT_TRUE(answer.at_eof());
  answer.Close();
  RunUntilIdle();
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_P(SiblingStreamTest, StreamsOfAnyLengthArriveExactly) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  for (const uint64_t bytes : {1u, 43u, 44u, 3731u, 3732u, 3733u, 65535u, 65536u, 65537u, 262144u, 262145u, 4u << 20}) {
    SCOPED_TRACE(bytes);
    std::vector<Pair> pairs = {Connect(here, there)};
    Exchange(pairs, bytes);
    pairs[0].client.Close();
    RunUntil([&] { return pairs[0].server.closed() && pairs[0].client.closed(); });
    EXPECT_FALSE(pairs[0].server.was_reset());
    EXPECT_FALSE(pairs[0].client.was_reset());
  }
  AwaitNoFlows();
}

TEST_P(SiblingStreamTest, ThirtyTwoStreamsAtOnce) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  std::vector<Pair> pairs;
  for (int i = 0; i < 32; ++i) pairs.push_back(i % 2 == 0 ? Connect(here, there) : Connect(there, here));
  Exchange(pairs, 512 * 1024);
  EXPECT_EQ(switch_flows().size(), 32u);
}

TEST_P(SiblingStreamTest, LargePacketIsSplitToTheReceiversBuffers) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  auto [client, server] = Connect(sender, receiver);
  const uint64_t before = receiver.received(VIRTIO_VSOCK_OP_RW);

  server.ExpectPattern(9);
  client.SendPattern(9, 64 * 1024);
  RunUntil([&, s = server] { return s.received_bytes() == 64 * 1024; });
  EXPECT_EQ(server.Verdict(64 * 1024), "exact");
  // 64 KiB in pieces of 3,776 bytes less the header: the device fills the buffers.
  EXPECT_EQ(receiver.received(VIRTIO_VSOCK_OP_RW) - before, (64 * 1024 + 3731) / 3732);
}

TEST_P(SiblingStreamTest, EachEndMayCloseFirst) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = Connect(here, there);
  client.Close();
  server.Close();
  RunUntilIdle();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(server.closed());

  auto [again, at] = Connect(here, there);
  at.Send("last words");
  at.Close();
  RunUntilIdle();
  EXPECT_EQ(again.Received(), "last words");
  EXPECT_TRUE(again.closed());
  EXPECT_THAT(switch_flows(), IsEmpty());
}

TEST_P(SiblingStreamTest, AnAbruptEndIsTold) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = Connect(here, there);
  client.Reset();
  RunUntil([s = server] { return s.closed(); });
  EXPECT_TRUE(server.was_reset());
  AwaitNoFlows();
}

TEST_P(SiblingStreamTest, FloodingEachOtherIsNoDeadlock) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(Connect(here, there));
  Exchange(pairs, 4u << 20);
}

// What a driver may look like. The other one is a Linux guest.
struct Shape {
  const char* name;
  GuestOptions options;
};

GuestOptions With(const std::function<void(GuestOptions&)>& change) {
  GuestOptions options;
  change(options);
  return options;
}

std::vector<Shape> Shapes() {
  using O = GuestOptions;
  return {
      {"NoEventIdx", With([](O& o) { o.event_idx = false; })},
      {"NoIndirect", With([](O& o) { o.indirect = false; })},
      {"NeitherOfThem", With([](O& o) { o.event_idx = o.indirect = false; })},
      {"RingOf2", With([](O& o) { o.ring_entries = 2; })},
      {"RingOf4Direct", With([](O& o) { o.ring_entries = 4, o.indirect = false; })},
      {"RingOf1024", With([](O& o) { o.ring_entries = 1024; })},
      {"RingOf32768", With([](O& o) { o.ring_entries = 32768; })},
      {"ThreeQueues", With([](O& o) { o.queues = 3; })},
      {"AlwaysKicks", With([](O& o) { o.kick_rule = VringDriver::KickRule::kAlways; })},
      {"PollsItsRings", With([](O& o) { o.polling = true; })},
      {"OneDescriptorPerPacket", With([](O& o) { o.tx_layout = TxLayout::kOnePiece; })},
      {"PayloadInPages", With([](O& o) { o.tx_layout = TxLayout::kPages; })},
      {"PayloadInPagesDirect", With([](O& o) { o.tx_layout = TxLayout::kPages, o.indirect = false; })},
      {"ShreddedHeader", With([](O& o) { o.tx_layout = TxLayout::kShreddedHeader; })},
      {"HeaderInABufferOfItsOwn", With([](O& o) { o.rx_pieces = {44}; })},
      {"ShreddedReceiveBuffers", With([](O& o) {
         o.rx_pieces = {1, 42, 3, 1, 100};
       })},
      {"ShreddedReceiveBuffersDirect", With([](O& o) {
         o.rx_pieces = {1, 42, 3, 1, 100}, o.indirect = false;
       })},
      {"BuffersOf64KiB", With([](O& o) { o.rx_buffer_bytes = 65536 + 44, o.rx_buffers = 16; })},
      {"FewBuffers", With([](O& o) { o.rx_buffers = 1; })},
      {"SmallWindow", With([](O& o) { o.window = 4096; })},
      {"AsksForCredit", With([](O& o) { o.window = 8192, o.requests_credit = true; })},
      {"SmallPackets", With([](O& o) { o.tx_packet_bytes = 512; })},
      {"FlatMemory", With([](O& o) { o.memory_layout = SharedMemory::Flat(16u << 20); })},
      {"TornMemory", With([](O& o) { o.memory_layout = SharedMemory::Torn(16u << 20, 3u << 20); })},
      {"UnsealableMemory", With([](O& o) { o.allow_sealing = false; })},
      {"NoReplyAck", With([](O& o) { o.front_end.reply_ack = false; })},
      {"RegionByRegion", With([](O& o) { o.front_end.memory_slots = true; })},
      {"WithStatus", With([](O& o) { o.front_end.status = true; })},
      {"NoBackChannel", With([](O& o) { o.front_end.back_channel = false; })},
  };
}

class DriverShapeTest : public SwitchTest, public ::testing::WithParamInterface<Shape> {};
INSTANTIATE_TEST_SUITE_P(Drivers, DriverShapeTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST_P(DriverShapeTest, TalksToALinuxGuest) {
  constexpr uint64_t kBytes = 300'000;
  SimulatedGuest& odd = Boot(Cid(3), GetParam().options);
  SimulatedGuest& linux_guest = Boot(Cid(4));
  auto [client, server] = Connect(odd, linux_guest);
  server.ExpectPattern(1);
  client.SendPattern(1, kBytes);
  client.ExpectPattern(2);
  server.SendPattern(2, kBytes);
  RunUntil([&, c = client, s = server] { return c.received_bytes() >= kBytes && s.received_bytes() >= kBytes; });
  EXPECT_EQ(server.Verdict(kBytes), "exact");
  EXPECT_EQ(client.Verdict(kBytes), "exact");
  client.Close();
  RunUntil([s = server] { return s.closed(); });
  AwaitNoFlows();
}

// 45 bytes leave room for one: each byte of the stream is a packet.
class TinyBuffersTest : public SwitchTest {};

TEST_F(TinyBuffersTest, AByteAtATimeArrives) {
  constexpr uint64_t kBytes = 5000;
  GuestOptions tiny;
  tiny.rx_buffer_bytes = 45;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4), tiny);
  auto [client, server] = Connect(sender, receiver);
  server.ExpectPattern(1);
  client.SendPattern(1, kBytes);
  RunUntil([s = server] { return s.received_bytes() >= kBytes; });
  EXPECT_EQ(server.Verdict(kBytes), "exact");
  EXPECT_EQ(receiver.received(VIRTIO_VSOCK_OP_RW), kBytes);
}

}  // namespace
}  // namespace kinsock::testing
