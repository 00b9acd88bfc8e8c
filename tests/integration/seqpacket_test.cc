// SPDX-License-Identifier: Apache-2.0
//
// Guests exchange messages (virtio 1.3, 5.10.6.6): each arrives as it was sent, neither cut nor joined, whatever the
// shape of rings and buffers and however long the receiver makes it wait.
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

class SeqpacketTest : public SwitchTest, public ::testing::WithParamInterface<size_t> {
 protected:
  SeqpacketTest() : SwitchTest(GetParam()) {}

  Pair ConnectMessages(SimulatedGuest& from, SimulatedGuest& to, Port port = 80) {
    return Connect(from, to, port, kSeqpacket);
  }

  // Messages of these sizes from one end to the other; each has bytes of its own.
  void Transfer(Stream& from, Stream& to, const std::vector<size_t>& sizes) {
    const size_t before = to.Messages().size();
    std::vector<std::string> messages;
    for (const size_t size : sizes) {
      messages.push_back(PatternMessage(static_cast<uint32_t>(messages.size()) + 1, size));
      from.SendMessage(messages.back());
    }
    RunUntil([&] { return to.Messages().size() >= before + messages.size(); });
    const std::vector<std::string> came(to.Messages().begin() + static_cast<ptrdiff_t>(before), to.Messages().end());
    // Not EXPECT_EQ: nobody wants to read 64 KiB of pattern.
    EXPECT_TRUE(came == messages) << came.size() << " of " << messages.size();
  }
};
INSTANTIATE_TEST_SUITE_P(Reactors, SeqpacketTest, ::testing::Values(1, 2));

// Linux' buffers hold 3,732 bytes of payload; a packet has up to 64 KiB, a message up to the window.
const std::vector<size_t> kSizes = {1,     2,     100,   3731,    3732,   3733,    7464,    7465, 20'000,
                                    65535, 65536, 65537, 100'000, 131072, 200'000, kWindow, 1};

TEST_P(SeqpacketTest, MessagesOfAllSizesKeepTheirBoundaries) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  Transfer(client, server, kSizes);
  Transfer(server, client, kSizes);
}

TEST_P(SeqpacketTest, ManySmallMessagesStayApart) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  const uint64_t before = there.received(VIRTIO_VSOCK_OP_RW);
  Transfer(client, server, std::vector<size_t>(3000, 5));
  EXPECT_EQ(there.received(VIRTIO_VSOCK_OP_RW) - before, 3000u);  // a buffer each
}

TEST_P(SeqpacketTest, PacketsOfOneMessageShareBuffers) {
  GuestOptions small;
  small.tx_packet_bytes = 100;
  SimulatedGuest& here = Boot(Cid(3), small);
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  // Only packets that wait together can share. A reactor that happens to take some one by one does not keep that up.
  std::vector<size_t> messages(20, 10'000);
  messages.insert(messages.end(), {50, 3732, 100});
  Transfer(client, server, messages);
  EXPECT_LT(there.received(VIRTIO_VSOCK_OP_RW), 2040u);  // packets sent
}

TEST_P(SeqpacketTest, EmptyMessagesArrive) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  Transfer(client, server, {0, 1, 0, 0, 5000, 0});
}

// The end of a message may come by itself; what ends nothing goes nowhere.
TEST_P(SeqpacketTest, AnEmptyPacketMayEndAMessage) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  client.SendUnfinished("");
  client.SendUnfinished("in ");
  client.SendUnfinished("");
  client.SendUnfinished("three pieces");
  client.SendMessage("");
  client.SendUnfinished(std::string(3732, 'x'));  // a full buffer
  client.SendMessage("");
  RunUntil([&, s = server] { return s.Messages().size() == 2; });
  EXPECT_THAT(server.Messages(), ElementsAre("in three pieces", std::string(3732, 'x')));
}

TEST_P(SeqpacketTest, TheEndOfARecordIsTold) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  client.SendMessage(PatternMessage(1, 10'000));
  client.SendMessage(PatternMessage(2, 10'000), /*ends_record=*/true);
  RunUntil([&, s = server] { return s.Messages().size() == 2; });
  EXPECT_EQ(server.records(), 1u);
}

TEST_P(SeqpacketTest, StreamsGoOnBesides) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  Pair stream = Connect(here, there, Port(81));
  stream.server.ExpectPattern(1);
  stream.client.SendPattern(1, 1u << 20);
  Transfer(client, server, std::vector<size_t>(50, 20'000));
  RunUntil([&] { return stream.server.received_bytes() >= 1u << 20; });
  EXPECT_EQ(stream.server.Verdict(1u << 20), "exact");
}

TEST_P(SeqpacketTest, TheReportTellsTheType) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  ConnectMessages(here, there);
  ASSERT_EQ(switch_flows().size(), 1u);
  EXPECT_EQ(switch_flows()[0].type, kSeqpacket);
}

TEST_P(SeqpacketTest, AHalfClosedConnectionStillCarriesTheAnswer) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [client, server] = ConnectMessages(asker, teller);
  client.SendMessage(PatternMessage(7, 50'000));
  client.ShutdownSend();
  RunUntil([&, s = server] { return s.at_eof(); });
  ASSERT_EQ(server.Messages().size(), 1u);
  Transfer(server, client, {0, 1, 50'000});
  server.Close();
  client.Close();
  AwaitNoFlows();
  EXPECT_FALSE(client.was_reset());
  EXPECT_FALSE(server.was_reset());
}

// --- A receiver that makes them wait ---

TEST_P(SeqpacketTest, WhatWaitedForASleeperIsStillWhole) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  SimulatedGuest& awake = Boot(Cid(5));
  auto [client, server] = ConnectMessages(sender, sleeper);
  sleeper.StopPosting();
  std::vector<std::string> messages;
  for (uint32_t i = 0; i < 300; ++i) {
    messages.push_back(PatternMessage(i, i % 10 == 0 ? 0 : i * 37));
    client.SendMessage(messages.back());
  }
  RunUntilIdle();
  Pair other = ConnectMessages(sender, awake);
  Transfer(other.client, other.server, kSizes);

  sleeper.ResumePosting();
  RunUntil([&, s = server] { return s.Messages().size() >= messages.size(); });
  EXPECT_TRUE(server.Messages() == messages);
}

// Only the last buffers are left when a message comes: its beginning is delivered, the rest is copied aside.
TEST_P(SeqpacketTest, AMessageHalfDeliveredIsFinishedLater) {
  GuestOptions few;
  few.rx_buffers = 10;
  GuestOptions small_ring;
  small_ring.ring_entries = 4;
  SimulatedGuest& sender = Boot(Cid(3), small_ring);
  SimulatedGuest& sleeper = Boot(Cid(4), few);
  auto [client, server] = ConnectMessages(sender, sleeper);
  sleeper.StopPosting();
  std::vector<std::string> messages;
  for (const size_t size : {size_t{10'000}, size_t{60'000}, size_t{0}, size_t{70'000}, size_t{3}}) {
    messages.push_back(PatternMessage(static_cast<uint32_t>(messages.size()), size));
    client.SendMessage(messages.back());
  }
  RunUntilIdle();
  EXPECT_LT(server.Messages().size(), 2u);
  EXPECT_GT(server.connection().unread(), 10'000u);
  sleeper.ResumePosting();
  RunUntil([&, s = server] { return s.Messages().size() >= messages.size(); });
  EXPECT_TRUE(server.Messages() == messages);
}

TEST_P(SeqpacketTest, AReaderThatPausesHoldsUpOnlyItsOwnConnection) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& there = Boot(Cid(4));
  auto [client, server] = ConnectMessages(here, there);
  Pair other = ConnectMessages(here, there, Port(81));
  server.PauseReading();
  std::vector<std::string> messages;
  for (uint32_t i = 0; i < 12; ++i) {
    messages.push_back(PatternMessage(i, 60'000));
    client.SendMessage(messages.back());
  }
  RunUntilIdle();
  EXPECT_LE(client.sent_bytes(), kWindow);
  Transfer(other.client, other.server, kSizes);
  server.ResumeReading();
  RunUntil([&, s = server] { return s.Messages().size() >= messages.size(); });
  EXPECT_TRUE(server.Messages() == messages);
}

TEST_P(SeqpacketTest, WhatWasSentBeforeTheCloseStillArrives) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  auto [client, server] = ConnectMessages(sender, sleeper);
  sleeper.StopPosting();
  client.SendMessage(PatternMessage(1, 100'000));
  client.SendMessage("");
  client.SendMessage(PatternMessage(2, 100'000));
  client.Close();
  RunUntilIdle();
  sleeper.ResumePosting();
  RunUntil([&, s = server, c = client] { return s.at_eof() && c.closed(); });
  ASSERT_EQ(server.Messages().size(), 3u);
  EXPECT_TRUE(server.Messages()[2] == PatternMessage(2, 100'000));
  EXPECT_FALSE(server.was_reset());
}

// --- Shapes of rings and buffers ---

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
      {"FewBuffers", With([](O& o) { o.rx_buffers = 1; })},
      {"TinyBuffers", With([](O& o) { o.rx_buffer_bytes = 64; })},
      {"BuffersOf64KiB", With([](O& o) { o.rx_buffer_bytes = 65536 + 44, o.rx_buffers = 16; })},
      {"ShreddedReceiveBuffers", With([](O& o) {
         o.rx_pieces = {1, 42, 3, 1, 100};
       })},
      {"RingOf2", With([](O& o) { o.ring_entries = 2; })},
      {"PayloadInPages", With([](O& o) { o.tx_layout = TxLayout::kPages; })},
      {"OneDescriptorPerPacket", With([](O& o) { o.tx_layout = TxLayout::kOnePiece; })},
      {"SmallPackets", With([](O& o) { o.tx_packet_bytes = 512; })},
      {"PollsItsRings", With([](O& o) { o.polling = true; })},
  };
}

class SeqpacketShapeTest : public SwitchTest, public ::testing::WithParamInterface<Shape> {};
INSTANTIATE_TEST_SUITE_P(Drivers, SeqpacketShapeTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST_P(SeqpacketShapeTest, ExchangesMessagesWithALinuxGuest) {
  SimulatedGuest& odd = Boot(Cid(3), GetParam().options);
  SimulatedGuest& linux_guest = Boot(Cid(4));
  auto [client, server] = Connect(odd, linux_guest, Port(80), kSeqpacket);
  std::vector<std::string> messages;
  for (const size_t size : {size_t{1}, size_t{0}, size_t{65536}, size_t{70'000}, size_t{19}, size_t{20}, size_t{21}}) {
    messages.push_back(PatternMessage(static_cast<uint32_t>(messages.size()), size));
    client.SendMessage(messages.back());
    server.SendMessage(messages.back());
  }
  RunUntil([&, c = client, s = server] {
    return c.Messages().size() >= messages.size() && s.Messages().size() >= messages.size();
  });
  EXPECT_TRUE(server.Messages() == messages);
  EXPECT_TRUE(client.Messages() == messages);
  client.Close();
  server.Close();
  AwaitNoFlows();
}

}  // namespace
}  // namespace kinsock::testing
