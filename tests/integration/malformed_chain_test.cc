// SPDX-License-Identifier: Apache-2.0
//
// Descriptor chains that virtio 1.3, 2.7.5 does not allow, in either queue: a chain comes back, or the VM is fenced; in
// any case nobody else sees anything of it.
#include <functional>
#include <initializer_list>
#include <vector>

#include "tests/integration/hostile_ring_fixture.h"

namespace kinsock::testing {
namespace {

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

}  // namespace
}  // namespace kinsock::testing
