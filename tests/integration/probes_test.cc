// SPDX-License-Identifier: Apache-2.0
//
// What a tracer is told of by the static probes (base/probes.h).
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/integration/hybrid_fixture.h"
#include "tests/support/probe_watch.h"

namespace kinsock::testing {
namespace {

using ::testing::ElementsAre;

// The first `n` arguments.
std::vector<uint64_t> First(size_t n, const ProbeWatch::Firing& firing) {
  return {firing.arguments.begin(), firing.arguments.begin() + static_cast<std::ptrdiff_t>(n)};
}

class ProbesTest : public HybridTest {
 protected:
  size_t CountPackets(uint16_t op) const {
    const std::vector<ProbeWatch::Firing> packets = probes_.Of("packet");
    return static_cast<size_t>(
        std::count_if(packets.begin(), packets.end(), [op](const auto& packet) { return packet.arguments[4] == op; }));
  }

  ProbeWatch probes_;
};

TEST_F(ProbesTest, AConnectionIsToldWhenItOpensAndWhenItCloses) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [question, answer] = Connect(asker, teller);
  ASSERT_EQ(probes_.Of("conn_open").size(), 1u);
  EXPECT_THAT(First(6, probes_.Of("conn_open")[0]),
              ElementsAre(3, question.local_port(), 4, 80, VIRTIO_VSOCK_TYPE_STREAM, switch_flows().at(0).id));
  EXPECT_EQ(probes_.Of("conn_close").size(), 0u);

  const Port port = question.local_port();
  question.Send("why?");
  RunUntil([s = answer] { return s.received_bytes() == 4; });
  answer.Send("because");
  RunUntil([s = question] { return s.received_bytes() == 7; });
  question.Close();
  answer.Close();
  AwaitNoFlows();
  ASSERT_EQ(probes_.Of("conn_close").size(), 1u);
  const ProbeWatch::Firing closed = probes_.Of("conn_close")[0];
  EXPECT_THAT(First(4, closed), ElementsAre(3, port, 4, 80));
  EXPECT_EQ(closed.Text(4), "FINISHED");
  EXPECT_EQ(closed.arguments[5], 4u + 7u);
}

TEST_F(ProbesTest, ACallThatIsRefusedNeitherOpensNorCloses) {
  SimulatedGuest& caller = Boot(Cid(3));
  Boot(Cid(4));
  Stream call = caller.Connect(4, Port(81));
  RunUntil([&] { return call.closed(); });
  AwaitNoFlows();
  EXPECT_EQ(probes_.Of("conn_open").size() + probes_.Of("conn_close").size(), 0u);
  EXPECT_EQ(CountPackets(VIRTIO_VSOCK_OP_REQUEST), 1u);
  EXPECT_EQ(CountPackets(VIRTIO_VSOCK_OP_RST), 1u);
}

TEST_F(ProbesTest, APacketOfAGuestIsToldOnceAsItWasSent) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [question, answer] = Connect(asker, teller);
  question.Send("why?");
  RunUntil([s = answer] { return s.received_bytes() == 4; });
  RunUntilIdle();
  const std::vector<ProbeWatch::Firing> packets = probes_.Of("packet");
  EXPECT_EQ(packets.size(), stats(3).from_guest_packets + stats(4).from_guest_packets);
  ASSERT_GE(packets.size(), 3u);
  const uint64_t port = question.local_port();
  EXPECT_THAT(First(6, packets[0]), ElementsAre(3, port, 4, 80, VIRTIO_VSOCK_OP_REQUEST, 0));
  EXPECT_THAT(First(6, packets[1]), ElementsAre(4, 80, 3, port, VIRTIO_VSOCK_OP_RESPONSE, 0));
  EXPECT_THAT(First(6, packets[2]), ElementsAre(3, port, 4, 80, VIRTIO_VSOCK_OP_RW, 4));

  // What is dropped is told, too, whatever it says; what the daemon answers in another's name is told as that.
  VsockPacket forged = asker.Packet(VIRTIO_VSOCK_OP_RW, 5000, 4, Port(80));
  forged.src_cid = 0xffff'ffff'0000'0004;
  asker.SendRaw(forged);
  asker.SendRaw(asker.Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, 5000, 99, Port(80)));
  RunUntil([&] { return CountPackets(VIRTIO_VSOCK_OP_RST) == 1; });
  const std::vector<ProbeWatch::Firing> more = probes_.Of("packet");
  ASSERT_EQ(more.size(), packets.size() + 3);
  EXPECT_THAT(First(6, more[more.size() - 3]), ElementsAre(0xffff'ffff'0000'0004, 5000, 4, 80, VIRTIO_VSOCK_OP_RW, 0));
  EXPECT_THAT(First(6, more[more.size() - 1]), ElementsAre(99, 80, 3, 5000, VIRTIO_VSOCK_OP_RST, 0));
}

TEST_F(ProbesTest, APacketOfTheHostIsToldWhenTheGuestHasIt) {
  constexpr uint64_t kBytes = 50'000;
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectFromHost(guest);
  Exchange(pair, 1, kBytes);
  RunUntilIdle();
  const std::vector<ProbeWatch::Firing> packets = probes_.Of("packet");
  EXPECT_EQ(packets.size(), stats(3).from_guest_packets + stats(3).to_guest_host_packets());
  uint64_t to_guest = 0, to_host = 0;
  for (const ProbeWatch::Firing& packet : packets) {
    if (packet.arguments[4] != VIRTIO_VSOCK_OP_RW) continue;
    (packet.arguments[0] == 2 ? to_guest : to_host) += packet.arguments[5];
  }
  EXPECT_EQ(to_guest, kBytes);
  EXPECT_EQ(to_host, kBytes);
}

TEST_F(ProbesTest, AStallIsToldWhenItBeginsAndWithItsTimeWhenItEnds) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  auto [client, server] = Connect(sender, receiver);
  server.PauseReading();
  server.ExpectPattern(1);
  client.SendPattern(1, kBytes);
  RunUntil([&, s = server] { return s.connection().unread() == 256 * 1024; });
  RunUntilIdle();
  ASSERT_EQ(probes_.Of("credit_stall").size(), 1u);
  EXPECT_THAT(First(5, probes_.Of("credit_stall")[0]), ElementsAre(3, client.local_port(), 4, 80, 0));

  server.ResumeReading();
  RunUntil([&, s = server] { return s.received_bytes() == kBytes; });
  RunUntilIdle();
  uint64_t nanoseconds = 0;
  for (const ProbeWatch::Firing& stall : probes_.Of("credit_stall")) nanoseconds += stall.arguments[4];
  EXPECT_GT(nanoseconds, 0u);
  EXPECT_EQ(nanoseconds, stats(3).guest_port.stalled_nanoseconds[static_cast<size_t>(Direction::kOut)]);
}

TEST_F(ProbesTest, AMessageOfAVmmIsToldByNumberAndName) {
  Boot(Cid(3));
  const std::vector<ProbeWatch::Firing> messages = probes_.Of("vhost_msg");
  EXPECT_EQ(messages.size(), stats(3).front_end_messages);
  const auto table = std::find_if(messages.begin(), messages.end(),
                                  [](const auto& message) { return message.Text(2) == "SET_MEM_TABLE"; });
  ASSERT_NE(table, messages.end());
  EXPECT_EQ(table->arguments[0], 3u);
  EXPECT_EQ(table->arguments[1], 5u) << "VHOST_USER_SET_MEM_TABLE";
  EXPECT_EQ(table->arguments[3], 8 + 32 * table->arguments[4]) << "a region of 32 bytes for each descriptor";
  EXPECT_GT(table->arguments[4], 0u);
  for (const ProbeWatch::Firing& message : messages) {
    EXPECT_EQ(message.arguments[0], 3u);
    EXPECT_EQ(message.arguments[5], 0u) << message.Text(2) << " could be done";
  }
}

}  // namespace
}  // namespace kinsock::testing
