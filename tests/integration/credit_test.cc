// SPDX-License-Identifier: Apache-2.0
//
// Guests that lie about credit: what they can make the daemon hold is bounded, and honest ends never see more than they
// allowed (virtio 1.3, 5.10.6.3).
#include <string>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

constexpr Port kRaw = 5000;
constexpr uint32_t kLargestWindow = 256 * 1024;

class CreditTest : public SwitchTest {
 protected:
  // A connection from `honest` to the raw port of `liar`, which accepts it with `window`.
  Stream ConnectToLiar(SimulatedGuest& honest, SimulatedGuest& liar, uint32_t window) {
    liar.Capture(kRaw);
    liar.captured().clear();
    Stream stream = honest.Connect(liar.cid(), kRaw);
    RunUntil([&] { return !liar.captured().empty(); });
    VsockPacket response = liar.Packet(VIRTIO_VSOCK_OP_RESPONSE, kRaw, honest.cid(), stream.local_port());
    response.buf_alloc = window;
    liar.SendRaw(response);
    RunUntil([&] { return stream.established(); });
    return stream;
  }
};

TEST_F(CreditTest, APromiseOfFourGigabytesIsCutDown) {
  SimulatedGuest& honest = Boot(Cid(3));
  SimulatedGuest& liar = Boot(Cid(4));
  std::vector<Stream> streams;
  for (int i = 0; i < 32; ++i) streams.push_back(ConnectToLiar(honest, liar, 0xffff'ffff));
  liar.set_frozen(true);
  for (Stream& stream : streams) {
    EXPECT_LE(stream.connection().peer_window(), kLargestWindow);
    stream.SendPattern(1, 4u << 20);
  }
  RunUntilIdle();
  for (const FlowInfo& flow : switch_flows()) EXPECT_LE(flow.to_target.queued_bytes, kLargestWindow);

  SimulatedGuest& other = Boot(Cid(5));
  Pair pair = Connect(honest, other);
  pair.client.Send("not delayed");
  RunUntil([&] { return pair.server.Received() == "not delayed"; });
}

TEST_F(CreditTest, MoreThanTheReceiverGrantedIsReset) {
  SimulatedGuest& liar = Boot(Cid(3));
  SimulatedGuest& honest = Boot(Cid(4));
  IgnoreViolationsOf(liar);
  auto [client, server] = Connect(liar, honest);
  server.PauseReading();
  // Twice its window, without asking for credit.
  for (int i = 0; i < 16; ++i) {
    VsockPacket packet = liar.Packet(VIRTIO_VSOCK_OP_RW, client.local_port(), honest.cid(), Port(80));
    packet.payload = std::string(32 * 1024, 'x');
    liar.SendRaw(packet);
  }
  RunUntil([&, c = client, s = server] { return c.closed() && s.closed(); });
  EXPECT_LE(server.connection().unread() + server.received_bytes(), kLargestWindow);
  Connect(liar, honest, Port(81));
}

TEST_F(CreditTest, AShrunkWindowMeansNoRoom) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& shrinker = Boot(Cid(4));
  auto [client, server] = Connect(sender, shrinker);
  server.ExpectPattern(1);
  server.PauseReading();
  client.SendPattern(1, kBytes);
  RunUntilIdle();
  const uint64_t sent = client.sent_bytes();
  server.connection().set_window(10);
  server.connection().SendCreditUpdate();
  RunUntilIdle();
  EXPECT_EQ(client.sent_bytes(), sent);

  server.connection().set_window(kLargestWindow);
  server.connection().SendCreditUpdate();
  server.ResumeReading();
  RunUntil([&, s = server] { return s.received_bytes() >= kBytes; });
  EXPECT_EQ(server.Verdict(kBytes), "exact");
}

// What waits for a guest is delivered later than it was said; a newer grant must not overtake an older one, or the
// older one takes the credit back.
TEST_F(CreditTest, CreditNeverGoesBackwards) {
  GuestOptions few, small;
  few.rx_buffers = 4;
  small.ring_entries = 2;  // what waits does not stay in the ring
  SimulatedGuest& talker = Boot(Cid(3), small);
  SimulatedGuest& sleeper = Boot(Cid(4), few);
  auto [client, server] = Connect(talker, sleeper);
  sleeper.StopPosting();
  client.SendPattern(1, 20'000);  // more than the four buffers hold
  server.ExpectPattern(1);
  RunUntilIdle();

  client.connection().SendCreditUpdate();
  RunUntilIdle();
  server.Send(std::string(1000, 'x'));
  RunUntil([&, c = client] { return c.received_bytes() == 1000; });
  client.SendPattern(1, 1);  // grants 1000
  RunUntilIdle();
  server.Send(std::string(1000, 'y'));
  RunUntil([&, c = client] { return c.received_bytes() == 2000; });
  client.connection().SendCreditUpdate();  // grants 2000
  RunUntilIdle();

  sleeper.ResumePosting();
  RunUntil([&, s = server] { return s.received_bytes() == 20'001; });
  RunUntilIdle();
  EXPECT_EQ(server.Verdict(20'001), "exact");
  EXPECT_EQ(server.connection().credit(), kLargestWindow);
}

// Credit updates that wait for a guest become one. The guest may use all that it grants.
TEST_F(CreditTest, AGrantThatWaitedMayBeUsedInFull) {
  constexpr uint64_t kBytes = 1u << 20;
  GuestOptions few;
  few.rx_buffers = 1;
  GuestOptions small_ring;
  small_ring.ring_entries = 4;  // what waits is copied aside at once
  SimulatedGuest& sender = Boot(Cid(3), few);
  SimulatedGuest& reader = Boot(Cid(4), small_ring);
  auto [client, server] = Connect(sender, reader);
  server.ExpectPattern(1);
  sender.StopPosting();
  client.SendPattern(1, kBytes);
  RunUntilIdle();
  for (int i = 0; i < 8; ++i) {
    server.connection().SendCreditUpdate();
    RunUntilIdle();
  }
  sender.ResumePosting();
  RunUntil([&, s = server] { return s.received_bytes() >= kBytes; });
  EXPECT_EQ(server.Verdict(kBytes), "exact");
}

TEST_F(CreditTest, CountersMayBeAnything) {
  SimulatedGuest& honest = Boot(Cid(3));
  SimulatedGuest& liar = Boot(Cid(4));
  SimulatedGuest& other = Boot(Cid(5));
  IgnoreViolationsOf(liar);
  for (const uint32_t window : {0u, 1u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) {
    for (const uint32_t fwd_cnt : {0u, 1u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) {
      Stream stream = ConnectToLiar(honest, liar, kLargestWindow);
      stream.SendPattern(1, 1u << 20);
      VsockPacket update = liar.Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, kRaw, honest.cid(), stream.local_port());
      update.buf_alloc = window;
      update.fwd_cnt = fwd_cnt;
      liar.SendRaw(update);
      RunUntilIdle();
      stream.Reset();
    }
  }
  RunUntilIdle();
  // fwd_cnt is the liar's word to the honest end: it may be passed on, or cost the liar its connection.
  honest.violations().Take();
  Pair pair = Connect(honest, other);
  pair.client.Send("unharmed");
  RunUntil([&] { return pair.server.Received() == "unharmed"; });
}

TEST_F(CreditTest, EmptyPacketsCostNothing) {
  SimulatedGuest& liar = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  auto [client, server] = Connect(liar, sleeper);
  sleeper.set_frozen(true);
  for (int i = 0; i < 20'000; ++i) {
    liar.SendRaw(liar.Packet(VIRTIO_VSOCK_OP_RW, client.local_port(), sleeper.cid(), Port(80)));
  }
  RunUntil([&] { return liar.machine().tx().queued() == 0; });
  RunUntilIdle();
  for (const FlowInfo& flow : switch_flows()) EXPECT_LE(flow.to_target.queued_bytes, kLargestWindow);
  sleeper.set_frozen(false);
  RunUntilIdle();
  EXPECT_LT(sleeper.received_packets(), 1000u);
  EXPECT_TRUE(client.closed() == server.closed());
}

// A flood of packets that want an answer: what waits for the flooder itself is bounded too.
TEST_F(CreditTest, UnreadAnswersAreBounded) {
  SimulatedGuest& flooder = Boot(Cid(3));
  SimulatedGuest& other = Boot(Cid(4));
  flooder.StopPosting();
  flooder.Capture(kRaw);
  for (int i = 0; i < 20'000; ++i) {
    flooder.SendRaw(flooder.Packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, kRaw, 99, Port(80)));
  }
  // Each deserves an RST and there is no room for one: the flooder's ring may stop, nobody else's may.
  RunUntilIdle();
  SimulatedGuest& third = Boot(Cid(5));
  Connect(other, third);
  flooder.ResumePosting();
  RunUntil([&] { return flooder.machine().tx().queued() == 0; });
  RunUntilIdle();
  Connect(flooder, other);
}

TEST_F(CreditTest, CreditRequestsAreAnswered) {
  SimulatedGuest& asker = Boot(Cid(3));
  SimulatedGuest& teller = Boot(Cid(4));
  auto [client, server] = Connect(asker, teller);
  const uint64_t before = asker.received(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  client.connection().RequestCredit();
  RunUntil([&] { return asker.received(VIRTIO_VSOCK_OP_CREDIT_UPDATE) > before; });
}

}  // namespace
}  // namespace kinsock::testing
