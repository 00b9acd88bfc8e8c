// SPDX-License-Identifier: Apache-2.0
//
// Drivers that lie in their rings and headers, or change them under the device: nothing is read that was not given, and
// nobody else notices.
#include <atomic>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "tests/integration/hostile_ring_fixture.h"

namespace kinsock::testing {
namespace {

TEST_F(HostileRingTest, AHeaderOf44DescriptorsIsRead) {
  WritePacket(page_, VIRTIO_VSOCK_OP_REQUEST);
  ChainBuilder shredded;
  for (uint32_t i = 0; i < kHeader; ++i) shredded.Readable(page_ + i, 1);
  Submit(shredded);
  RunUntil([&] { return sibling_->received(VIRTIO_VSOCK_OP_REQUEST) == 1; });
}

// The second region begins in the middle of the packet; its bytes lie elsewhere in the file.
TEST_F(HostileRingTest, APacketAcrossRegionsArrivesWhole) {
  constexpr uint64_t kBoundary = 3u << 20;
  GuestOptions torn;
  torn.memory_layout = SharedMemory::Torn(16u << 20, kBoundary);
  torn.rx_buffers = 16;
  SimulatedGuest& guest = Boot(Cid(6), torn);
  auto [client, server] = Connect(guest, *sibling_);
  SharedMemory& ram = guest.machine().memory();
  for (const uint32_t before : {1u, 20u, 43u, 44u, 45u, 1000u}) {
    VsockPacket packet = guest.Packet(VIRTIO_VSOCK_OP_RW, client.local_port(), 4, Port(80));
    packet.payload = std::string(2000, static_cast<char>('a' + before % 26));
    const virtio_vsock_hdr header = packet.Header();
    ram.Write(kBoundary - before, &header, sizeof(header));
    ram.Write(kBoundary - before + kHeader, packet.payload.data(), packet.payload.size());
    const size_t already = server.Received().size();
    VringDriver& ring = guest.machine().tx().ring();
    ASSERT_TRUE(ring.Add(ChainBuilder().Readable(kBoundary - before, kHeader + 2000)).has_value());
    ring.Publish();
    ring.Kick();
    RunUntil([&, s = server] { return s.Received().size() == already + 2000; });
    EXPECT_EQ(server.Received().substr(already), packet.payload);
  }
}

TEST_F(HostileRingTest, AReceiveBufferAcrossRegionsIsFilledWhole) {
  constexpr uint64_t kBoundary = 3u << 20;
  GuestOptions torn;
  torn.memory_layout = SharedMemory::Torn(16u << 20, kBoundary);
  torn.posts_rx = false;
  SimulatedGuest& guest = Boot(Cid(6), torn);
  guest.set_frozen(true);  // the test reaps
  VringDriver& ring = guest.machine().rx().ring();
  ASSERT_TRUE(ring.Add(ChainBuilder().Writable(kBoundary - 22, 100)).has_value());
  ring.Publish();
  ring.Kick();
  sibling_->Connect(6, Port(99));
  std::optional<VringDriver::Used> used;
  RunUntil([&] { return (used = ring.Reap()).has_value(); });
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->written, kHeader);
  virtio_vsock_hdr header;
  guest.machine().memory().Read(kBoundary - 22, &header, sizeof(header));
  EXPECT_EQ(header.op, VIRTIO_VSOCK_OP_REQUEST);
  EXPECT_EQ(header.dst_cid, 6u);
  EXPECT_EQ(header.dst_port, 99u);
}

// The header's length against what the chain holds: what is missing is never read from elsewhere.
TEST_F(HostileRingTest, TheClaimedLengthIsHeldAgainstTheChain) {
  for (const int pieces : {1, 2, 3}) {
    for (const uint32_t claimed : {99u, 100u, 101u, 4096u, 65537u, 0x7fff'ffffu, 0xffff'ffd4u, 0xffff'ffffu}) {
      SCOPED_TRACE(::testing::Message() << claimed << " claimed, in " << pieces << " descriptors");
      Pair pair = Connect(*hostile_, *sibling_);
      const std::string payload(100, 'x');
      VsockPacket packet = hostile_->Packet(VIRTIO_VSOCK_OP_RW, pair.client.local_port(), 4, Port(80));
      packet.payload = payload;
      packet.len = claimed;
      const virtio_vsock_hdr header = packet.Header();
      memory().Write(page_, &header, sizeof(header));
      memory().Write(page_ + kHeader, payload.data(), payload.size());
      ChainBuilder chain;
      if (pieces == 1) chain.Readable(page_, kHeader + 100);
      if (pieces == 2) chain.Readable(page_, kHeader).Readable(page_ + kHeader, 100);
      if (pieces == 3) chain.Readable(page_, 30).Readable(page_ + 30, 30).Readable(page_ + 60, 84);
      Submit(chain);
      RunUntilIdle();
      const std::string& received = pair.server.Received();
      if (claimed == 100) EXPECT_EQ(received, payload);
      if (claimed < 100) EXPECT_TRUE(received.empty() || received == payload.substr(0, claimed));
      if (claimed > 100) EXPECT_EQ(received, "");
      ASSERT_FALSE(Fenced());
      pair.client.Reset();
      RunUntilIdle();
    }
  }
}

TEST_F(HostileRingTest, AnyValueInAnyField) {
  Pair pair = Connect(*hostile_, *sibling_);
  const VsockPacket good = hostile_->Packet(VIRTIO_VSOCK_OP_RW, pair.client.local_port(), 4, Port(80));
  for (uint32_t offset = 0; offset < kHeader; offset += 2) {
    for (const uint32_t value : {0u, 1u, 0x7fffu, 0x8000u, 0xffffu}) {
      virtio_vsock_hdr header = good.Header();
      std::memcpy(reinterpret_cast<char*>(&header) + offset, &value, 2);
      memory().Write(page_, &header, sizeof(header));
      Submit(ChainBuilder().Readable(page_, kHeader + 10));
      AwaitReturnOrFence();
      ASSERT_FALSE(Fenced());
    }
  }
  RunUntilIdle();
  ExpectNeighboursUnharmed();
}

TEST_F(HostileRingTest, TheAvailableIndexJumps) {
  for (const int jump : {129, 0x8000, 0xffff, -1}) {
    SCOPED_TRACE(jump);
    SimulatedGuest& jumper = NewGuest();
    IgnoreViolationsOf(jumper);
    hostile_->Kill();
    RunUntilIdle();
    ASSERT_TRUE(jumper.PowerOn(vm(3).vhost_user_socket).ok());
    hostile_ = &jumper;
    RunUntilIdle();
    const uint64_t page = jumper.machine().memory().Allocate(4096);
    VringDriver& ring = jumper.machine().tx().ring();
    for (int i = 0; i < 10; ++i) ring.Add(ChainBuilder().Readable(page, 1));
    ring.SetAvailIdx(static_cast<uint16_t>(ring.used_idx() + jump));
    ring.set_kick_rule(VringDriver::KickRule::kAlways);
    ring.Kick();
    RunUntil([&] { return Fenced(); });
    EXPECT_LE(static_cast<uint16_t>(ring.used_idx() - ring.last_used_idx()), 128);
  }
  ExpectNeighboursUnharmed();
}

TEST_F(HostileRingTest, AHeadOutOfRange) {
  tx().PublishRaw(128);
  tx().set_kick_rule(VringDriver::KickRule::kAlways);
  tx().Kick();
  RunUntil([&] { return Fenced(); });
  ExpectNeighboursUnharmed();
}

TEST_F(HostileRingTest, TheSameHeadAgainAndAgain) {
  WritePacket(page_, VIRTIO_VSOCK_OP_RW);
  const std::optional<uint16_t> head = tx().Add(ChainBuilder().Readable(page_, kHeader));
  ASSERT_TRUE(head.has_value());
  for (int i = 0; i < 100; ++i) tx().PublishRaw(*head);
  tx().Kick();
  RunUntilIdle();
  EXPECT_EQ(sibling_->received_packets(), 0u);
  ExpectNeighboursUnharmed();
}

TEST_F(HostileRingTest, EveryMalformedChainComesBack) {
  constexpr uint64_t kChains = 10'000;
  const uint64_t before = tx().reaped();
  for (uint64_t done = 0; done < kChains;) {
    while (done < kChains && tx().Add(ChainBuilder().Readable(page_, 20)).has_value()) ++done;
    tx().Publish();
    tx().Kick();
    RunUntil([&] { return tx().free_descriptors() > 0; });
    ASSERT_FALSE(Fenced());
  }
  RunUntil([&] { return tx().outstanding() == 0; });
  EXPECT_EQ(tx().reaped() - before, kChains);
  Connect(*hostile_, *sibling_);
}

// A header that changes while the device looks at it is one header or the other, never both.
TEST_F(HostileRingTest, MemoryChangesUnderTheDevice) {
  Pair pair = Connect(*hostile_, *sibling_);
  std::atomic<bool> stop{false};
  auto* length = reinterpret_cast<uint32_t*>(memory().At(page_, 4096) + offsetof(virtio_vsock_hdr, len));
  WritePacket(page_, VIRTIO_VSOCK_OP_RW, std::string(10, 'x'));
  std::thread flipper([&] {
    for (uint32_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      const uint32_t values[] = {10, 60'000, 0, 0xffff'ffff};
      __atomic_store_n(length, values[i % 4], __ATOMIC_RELAXED);
    }
  });
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 64; ++i) tx().Add(ChainBuilder().Readable(page_, kHeader + 10));
    tx().Publish();
    tx().Kick();
    AwaitReturnOrFence();
  }
  stop = true;
  flipper.join();
  EXPECT_FALSE(Fenced());
  ExpectNeighboursUnharmed();
}

// Receive buffers too small for a header, or for a byte behind it.
TEST_F(HostileRingTest, UselessReceiveBuffersStallOnlyTheirOwner) {
  for (const uint32_t size : {1u, 43u, 44u}) {
    SCOPED_TRACE(size);
    GuestOptions useless;
    useless.posts_rx = false;
    const Cid cid = 100 + size;
    SimulatedGuest& guest = Boot(cid, useless);
    IgnoreViolationsOf(guest);
    const uint64_t buffer = guest.machine().memory().Allocate(4096);
    VringDriver& ring = guest.machine().rx().ring();
    for (int i = 0; i < 64; ++i) ring.Add(ChainBuilder().Writable(buffer, size));
    ring.Publish();
    ring.Kick();
    Stream call = sibling_->Connect(cid, Port(80));
    call.SendPattern(1, 100'000);
    Pair pair = Connect(*sibling_, *neighbour_, Port(90));
    pair.client.Send("hello");
    RunUntil([&] { return pair.server.Received() == "hello"; });
  }
}

}  // namespace
}  // namespace kinsock::testing
