// SPDX-License-Identifier: Apache-2.0
//
// Drivers that put into their rings what virtio 1.3, 2.7 does not allow. A malformed chain comes back, or the VM is
// fenced; in any case nobody else sees anything of it.
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

constexpr Port kRaw = 5000;
constexpr uint32_t kHeader = sizeof(virtio_vsock_hdr);

class HostileRingTest : public SwitchTest {
 protected:
  void SetUp() override {
    hostile_ = &Boot(Cid(3));
    sibling_ = &Boot(Cid(4));
    neighbour_ = &Boot(Cid(5));
    IgnoreViolationsOf(*hostile_);
    hostile_->Capture(kRaw);
    sibling_->Listen(Port(80));
    page_ = memory().Allocate(16 * 4096);
    RunUntilIdle();
  }

  SharedMemory& memory() { return hostile_->machine().memory(); }
  VringDriver& tx() { return hostile_->machine().tx().ring(); }
  VringDriver& rx() { return hostile_->machine().rx().ring(); }

  // A packet to the sibling in memory at `gpa`, its payload behind the header.
  void WritePacket(uint64_t gpa, uint16_t op, const std::string& payload = "",
                   std::optional<uint32_t> claimed = std::nullopt) {
    VsockPacket packet = hostile_->Packet(op, kRaw, 4, Port(80));
    packet.payload = payload;
    packet.len = claimed;
    const virtio_vsock_hdr header = packet.Header();
    memory().Write(gpa, &header, sizeof(header));
    memory().Write(gpa + kHeader, payload.data(), payload.size());
  }

  void Submit(const ChainBuilder& chain) {
    ASSERT_TRUE(tx().Add(chain).has_value());
    tx().Publish();
    tx().Kick();
  }

  bool Fenced() {
    return hostile_->machine().front_end().connection().closed() || !backend().Status(vm(3)).last_error.empty();
  }

  // Until the device has returned everything or given the VM up.
  void AwaitReturnOrFence() {
    RunUntil([&] { return tx().outstanding() == 0 || Fenced(); });
  }

  // Nobody else was touched, and the VM can be used again.
  void ExpectNeighboursUnharmed() {
    Pair pair = Connect(*sibling_, *neighbour_, Port(90));
    pair.server.ExpectPattern(1);
    pair.client.SendPattern(1, 100'000);
    RunUntil([&] { return pair.server.received_bytes() >= 100'000; });
    EXPECT_EQ(pair.server.Verdict(100'000), "exact");

    hostile_->Kill();
    RunUntilIdle();
    SimulatedGuest& reborn = NewGuest();
    ASSERT_TRUE(reborn.PowerOn(vm(3).vhost_user_socket).ok());
    Connect(reborn, *neighbour_, Port(91));
  }

  SimulatedGuest* hostile_ = nullptr;
  SimulatedGuest* sibling_ = nullptr;
  SimulatedGuest* neighbour_ = nullptr;
  uint64_t page_ = 0;
};

struct Malformed {
  const char* name;
  std::function<ChainBuilder(SharedMemory&, uint64_t page)> make;
};

ChainBuilder Links(std::initializer_list<ChainBuilder::Link> links) {
  ChainBuilder chain;
  for (const ChainBuilder::Link& link : links) chain.Descriptor(link.gpa, link.size, link.flags);
  return chain;
}

std::vector<Malformed> MalformedChains() {
  constexpr uint16_t kIndirect = VRING_DESC_F_INDIRECT;
  constexpr uint16_t kNext = VRING_DESC_F_NEXT;
  constexpr uint16_t kWrite = VRING_DESC_F_WRITE;
  using M = SharedMemory;
  return {
      {"SelfLoop", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).NextIs(0); }},
      {"LoopOfTwo", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 40).Readable(p, 40).NextIs(0); }},
      {"LoopAtTheEnd", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).Readable(p, 1).NextIs(1); }},
      {"LoopOfZeroLength", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 0).NextIs(0); }},
      {"NextOutOfRange", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).NextIsRaw(128); }},
      {"NextFarOut", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).NextIsRaw(0xffff); }},
      {"LoopInTheTable",
       [](M&, uint64_t p) {
         return ChainBuilder().Indirect(ChainBuilder().Readable(p, kHeader).Readable(p, 1).NextIs(0));
       }},
      {"NextOutOfTheTable",
       [](M&, uint64_t p) { return ChainBuilder().Indirect(ChainBuilder().Readable(p, kHeader).NextIsRaw(1)); }},
      {"NestedTables",
       [](M&, uint64_t p) {
         const ChainBuilder inner = ChainBuilder().Readable(p, kHeader);
         return ChainBuilder().Indirect(ChainBuilder().Indirect(inner));
       }},
      {"TableAndNext",
       [](M&, uint64_t p) {
         const ChainBuilder inner = ChainBuilder().Readable(p, kHeader);
         return ChainBuilder().Indirect(inner).Readable(p, 10);
       }},
      {"TableOfNoEntries",
       [](M&, uint64_t p) {
         return Links({{p, 0, kIndirect, {}, {}, {}}});
       }},
      {"TableOfHalfAnEntry",
       [](M&, uint64_t p) {
         return Links({{p, 24, kIndirect, {}, {}, {}}});
       }},
      {"TableTooLarge",
       [](M&, uint64_t p) {
         return Links({{p, 0xffff'fff0, kIndirect, {}, {}, {}}});
       }},
      {"TableNowhere",
       [](M&, uint64_t) {
         return Links({{1ull << 50, 32, kIndirect, {}, {}, {}}});
       }},
      {"TableMisaligned",
       [](M&, uint64_t p) {
         return Links({{p + 1, 16, kIndirect, {}, {}, {}}});
       }},
      {"TableOverTheEnd",
       [](M&, uint64_t) {
         return Links({{0x9fff8, 32, kIndirect, {}, {}, {}}});
       }},
      {"TableToWriteTo",
       [](M&, uint64_t p) {
         return Links({{p, 16, uint16_t{kIndirect | kWrite}, {}, {}, {}}});
       }},
      {"UnknownFlags",
       [](M&, uint64_t p) {
         return Links({{p, kHeader, 0xfff8, {}, {}, {}}});
       }},
      {"AddressNowhere", [](M&, uint64_t) { return ChainBuilder().Readable(1ull << 50, kHeader); }},
      {"AddressInTheHole", [](M&, uint64_t) { return ChainBuilder().Readable(0xa0000, kHeader); }},
      {"AddressWraps", [](M&, uint64_t) { return ChainBuilder().Readable(~uint64_t{0} - 10, kHeader); }},
      {"IntoTheHole", [](M&, uint64_t) { return ChainBuilder().Readable(0x9fff0, kHeader); }},
      {"LengthMax", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 0xffff'ffff); }},
      {"PayloadNowhere", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).Readable(1ull << 50, 100); }},
      {"NowhereButEmpty", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).Readable(~uint64_t{0}, 0); }},
      {"EmptyBeforeTheHeader",
       [](M&, uint64_t p) { return ChainBuilder().Readable(~uint64_t{0}, 0).Readable(p, kHeader); }},
      {"EmptyInsideTheHeader",
       [](M&, uint64_t p) { return ChainBuilder().Readable(p, 20).Readable(~uint64_t{0}, 0).Readable(p + 20, 24); }},
      {"NothingAtAll", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 0); }},
      {"OneByte", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 1); }},
      {"HeaderLessOneByte", [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader - 1); }},
      {"HeaderInPiecesLessOneByte", [](M&, uint64_t p) { return ChainBuilder().Readable(p, 20).Readable(p + 20, 23); }},
      {"OnlyToWriteTo", [](M&, uint64_t p) { return ChainBuilder().Writable(p, 4096); }},
      {"WritableHeader", [](M&, uint64_t p) { return ChainBuilder().Writable(p, kHeader).Readable(p + kHeader, 100); }},
      {"WritablePayload",
       [](M&, uint64_t p) { return ChainBuilder().Readable(p, kHeader).Writable(p + kHeader, 100); }},
      {"HugeSum",
       [](M&, uint64_t p) {
         ChainBuilder table;
         for (int i = 0; i < 256; ++i) table.Readable(p, 0xffff'ffff);
         return ChainBuilder().Indirect(table);
       }},
      {"LongTable",
       [](M&, uint64_t p) {
         ChainBuilder table;
         for (int i = 0; i < 2000; ++i) table.Readable(p, 1);
         return ChainBuilder().Indirect(table);
       }},
      {"NextBeyondItself",
       [](M&, uint64_t p) {
         return Links({{p, kHeader, kNext, {}, {}, {}}}).NextIsRaw(0);
       }},
  };
}

class MalformedChainTest : public HostileRingTest, public ::testing::WithParamInterface<Malformed> {};
INSTANTIATE_TEST_SUITE_P(All, MalformedChainTest, ::testing::ValuesIn(MalformedChains()),
                         [](const auto& info) { return info.param.name; });

TEST_P(MalformedChainTest, InTheTransmitQueue) {
  WritePacket(page_, VIRTIO_VSOCK_OP_RW);  // of a connection that does not exist: no way to reach the sibling
  Submit(GetParam().make(memory(), page_));
  AwaitReturnOrFence();
  EXPECT_EQ(sibling_->received_packets(), 0u);
  ExpectNeighboursUnharmed();
}

TEST_P(MalformedChainTest, InTheReceiveQueue) {
  // The sibling connects to the hostile guest, which has only one, malformed buffer.
  hostile_->StopPosting();
  Stream probe = sibling_->Connect(3, kRaw);
  for (int i = 0; i < 128; ++i) sibling_->Connect(3, kRaw);  // uses the good buffers up
  RunUntilIdle();
  ASSERT_TRUE(rx().Add(GetParam().make(memory(), page_)).has_value());
  rx().Publish();
  rx().Kick();
  RunUntilIdle();
  ExpectNeighboursUnharmed();
}

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
