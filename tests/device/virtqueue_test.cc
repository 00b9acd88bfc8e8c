// SPDX-License-Identifier: Apache-2.0
#include "device/virtqueue.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "device/guest_fault.h"

namespace kinsock {
namespace {

constexpr uint64_t kGuestBase = 0x1000'0000;
constexpr uint64_t kUserBase = 0x7f00'0000'0000;
constexpr uint64_t kMemoryBytes = 1 << 20;
constexpr uint64_t kDesc = 0;
constexpr uint64_t kAvail = 0x4000;
constexpr uint64_t kUsed = 0x8000;
constexpr uint64_t kBuffers = 0x10000;
constexpr uint64_t kIndirectTable = 0xc000;
constexpr uint16_t kSize = 8;

// The driver's side of a ring of eight entries, written by hand.
class VirtqueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GuestFaultGuard::Install();
    const int fd = memfd_create("guest", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, kMemoryBytes), 0);
    base_ = static_cast<char*>(mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    std::vector<MemoryRegionSpec> specs;
    specs.push_back({.guest_address = kGuestBase,
                     .size = kMemoryBytes,
                     .user_address = kUserBase,
                     .mmap_offset = 0,
                     .fd = UniqueFd(fd)});
    auto memory = GuestMemory::Create(std::move(specs));
    ASSERT_TRUE(memory.ok()) << memory.status();
    memory_ = *std::move(memory);
  }
  void TearDown() override { munmap(base_, kMemoryBytes); }

  VringLayout Layout() const {
    return {.size = kSize,
            .desc_user_address = kUserBase + kDesc,
            .avail_user_address = kUserBase + kAvail,
            .used_user_address = kUserBase + kUsed,
            .indirect = true};
  }
  Virtqueue Queue(VringLayout layout) {
    auto queue = Virtqueue::Create(layout, memory_);
    EXPECT_TRUE(queue.ok()) << queue.status();
    return *std::move(queue);
  }
  Virtqueue Queue() { return Queue(Layout()); }

  void Desc(uint64_t table, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next = 0) {
    const VringDesc desc{Le<uint64_t>(addr), Le<uint32_t>(len), Le<uint16_t>(flags), Le<uint16_t>(next)};
    std::memcpy(base_ + table + 16 * index, &desc, sizeof(desc));
  }
  void Offer(uint16_t head) {
    std::memcpy(base_ + kAvail + 4 + 2 * (avail_ % kSize), &head, 2);
    SetAvail(static_cast<uint16_t>(avail_ + 1));
  }
  void SetAvail(uint16_t index) {
    avail_ = index;
    std::memcpy(base_ + kAvail + 2, &avail_, 2);
  }
  uint16_t Word(uint64_t offset) const {
    uint16_t word;
    std::memcpy(&word, base_ + offset, 2);
    return word;
  }

  static uint64_t Buffer(uint64_t offset) { return kGuestBase + kBuffers + offset; }

  char* base_ = nullptr;
  uint16_t avail_ = 0;
  std::shared_ptr<const GuestMemory> memory_;
};

TEST_F(VirtqueueTest, AChainOfBuffersIsFoundAndReturned) {
  Desc(kDesc, 3, Buffer(0), 10, kVringDescNext, 5);
  Desc(kDesc, 5, Buffer(100), 20, kVringDescNext | kVringDescWrite, 6);
  Desc(kDesc, 6, Buffer(200), 30, kVringDescWrite);
  Virtqueue queue = Queue();
  Offer(3);

  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  EXPECT_EQ(chain.readable.size(), 10u);
  EXPECT_EQ(chain.writable.size(), 50u);
  queue.Return(chain, 42);
  EXPECT_EQ(Word(kUsed + 2), 0);  // not before it is published
  EXPECT_TRUE(queue.Publish());
  EXPECT_EQ(Word(kUsed + 2), 1);
  EXPECT_EQ(Word(kUsed + 4), 3);
  EXPECT_EQ(Word(kUsed + 8), 42);
  EXPECT_EQ(queue.Pop(chain), Virtqueue::PopResult::kEmpty);
}

TEST_F(VirtqueueTest, AnIndirectTableMayEndAChain) {
  Desc(kIndirectTable, 0, Buffer(0), 44, kVringDescNext, 2);
  Desc(kIndirectTable, 2, Buffer(64), 100, 0);
  Desc(kDesc, 0, kGuestBase + kIndirectTable, 48, kVringDescIndirect);
  Virtqueue queue = Queue();
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  EXPECT_EQ(chain.readable.size(), 144u);
  queue.Return(chain, 0);
}

// Rows 1 to 5 of the bug catalogue: what a driver may write into its descriptors and must not get away with.
struct BadChain {
  const char* what;
  VringDesc first;
};

VringDesc D(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next = 0) {
  return {Le<uint64_t>(addr), Le<uint32_t>(len), Le<uint16_t>(flags), Le<uint16_t>(next)};
}

class BadChainTest : public VirtqueueTest, public ::testing::WithParamInterface<BadChain> {};

TEST_P(BadChainTest, IsGivenBackUnused) {
  Desc(kDesc, 1, Buffer(0), 8, kVringDescNext, 0);  // for the loops
  Desc(kIndirectTable, 0, kGuestBase + kIndirectTable, 16, kVringDescIndirect);
  std::memcpy(base_ + kDesc, &GetParam().first, sizeof(VringDesc));
  Virtqueue queue = Queue();
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kMalformed);
  EXPECT_TRUE(chain.owed());
  queue.Return(chain, 0);
  queue.Publish();
  EXPECT_EQ(Word(kUsed + 2), 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadChainTest,
    ::testing::Values(
        BadChain{"OutsideMemory", D(kGuestBase + kMemoryBytes, 1, 0)},
        BadChain{"OverTheEnd", D(kGuestBase + kMemoryBytes - 4, 8, 0)},
        BadChain{"WrapsAround", D(~uint64_t{0} - 3, 8, 0)},
        BadChain{"LoopsToItself", D(kGuestBase + kBuffers, 8, kVringDescNext, 0)},
        BadChain{"LoopsOfTwo", D(kGuestBase + kBuffers, 8, kVringDescNext, 1)},
        BadChain{"NextOutOfRange", D(kGuestBase + kBuffers, 8, kVringDescNext, kSize)},
        BadChain{"NextFarOutOfRange", D(kGuestBase + kBuffers, 8, kVringDescNext, 0xffff)},
        BadChain{"IndirectAndNext", D(kGuestBase + kIndirectTable, 16, kVringDescIndirect | kVringDescNext)},
        BadChain{"IndirectInIndirect", D(kGuestBase + kIndirectTable, 16, kVringDescIndirect)},
        BadChain{"IndirectOfOddSize", D(kGuestBase + kIndirectTable, 17, kVringDescIndirect)},
        BadChain{"IndirectOfNothing", D(kGuestBase + kIndirectTable, 0, kVringDescIndirect)},
        BadChain{"IndirectNowhere", D(0, 16, kVringDescIndirect)},
        BadChain{"IndirectMisaligned", D(kGuestBase + kIndirectTable + 4, 16, kVringDescIndirect)},
        BadChain{"ReadableAfterWritable", D(kGuestBase + kBuffers, 8, kVringDescWrite | kVringDescNext, 1)}),
    [](const auto& info) { return info.param.what; });

TEST_F(VirtqueueTest, AnIndirectTableIsRefusedUnlessNegotiated) {
  Desc(kIndirectTable, 0, Buffer(0), 44, 0);
  Desc(kDesc, 0, kGuestBase + kIndirectTable, 16, kVringDescIndirect);
  VringLayout layout = Layout();
  layout.indirect = false;
  Virtqueue queue = Queue(layout);
  Offer(0);
  DescriptorChain chain;
  EXPECT_EQ(queue.Pop(chain), Virtqueue::PopResult::kMalformed);
  queue.Return(chain, 0);
}

TEST_F(VirtqueueTest, AnEmptyBufferMayHaveAnyAddress) {
  Desc(kDesc, 0, 0xdead'0000'0000, 0, kVringDescNext, 1);
  Desc(kDesc, 1, Buffer(0), 8, 0);
  Virtqueue queue = Queue();
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  EXPECT_EQ(chain.readable.size(), 8u);
  queue.Return(chain, 0);
}

TEST_F(VirtqueueTest, AnIndexThatJumpsBreaksTheRing) {
  for (const uint16_t jump : {kSize + 1, 0x8000, 0xffff}) {
    SetAvail(0);
    Virtqueue queue = Queue();
    SetAvail(jump);
    DescriptorChain chain;
    EXPECT_EQ(queue.Pop(chain), Virtqueue::PopResult::kBroken) << jump;
    EXPECT_FALSE(chain.owed());
  }
}

TEST_F(VirtqueueTest, AHeadOutOfRangeBreaksTheRing) {
  Virtqueue queue = Queue();
  Offer(kSize);
  DescriptorChain chain;
  EXPECT_EQ(queue.Pop(chain), Virtqueue::PopResult::kBroken);
}

// CVE-2016-5403: one head offered again and again while the device still has it.
TEST_F(VirtqueueTest, NoMoreIsLentThanTheRingHolds) {
  Desc(kDesc, 0, Buffer(0), 8, 0);
  Virtqueue queue = Queue();
  std::vector<DescriptorChain> chains(kSize);
  for (DescriptorChain& chain : chains) {
    Offer(0);
    ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  }
  Offer(0);
  DescriptorChain one_more;
  EXPECT_EQ(queue.Pop(one_more), Virtqueue::PopResult::kBroken);
  for (DescriptorChain& chain : chains) chain.Abandon();
}

TEST_F(VirtqueueTest, ChainsThatAreTakenBackAreFoundAgain) {
  for (uint16_t i = 0; i < 3; ++i) Desc(kDesc, i, Buffer(100 * i), 10u + i, kVringDescWrite);
  Virtqueue queue = Queue();
  for (uint16_t i = 0; i < 3; ++i) Offer(i);
  std::vector<DescriptorChain> chains(3);
  for (DescriptorChain& chain : chains) ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  queue.Return(chains[0], 1);
  queue.TakeBack(absl::MakeSpan(chains).subspan(1));
  EXPECT_EQ(queue.in_flight(), 0u);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  EXPECT_EQ(chain.writable.size(), 11u);
  queue.Return(chain, 0);
}

TEST_F(VirtqueueTest, InterruptsFollowTheEventIndex) {
  VringLayout layout = Layout();
  layout.event_idx = true;
  Desc(kDesc, 0, Buffer(0), 8, 0);
  Virtqueue queue = Queue(layout);
  const auto complete_one = [&] {
    Offer(0);
    DescriptorChain chain;
    EXPECT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
    queue.Return(chain, 0);
    return queue.Publish();
  };
  const auto want_after = [&](uint16_t used) { std::memcpy(base_ + kAvail + 4 + 2 * kSize, &used, 2); };
  want_after(1);
  EXPECT_FALSE(complete_one());  // used becomes 1: entry 1 is not there yet
  EXPECT_TRUE(complete_one());   // entry 1 is
  EXPECT_FALSE(complete_one());  // and that was all that was asked for
}

TEST_F(VirtqueueTest, InterruptsFollowTheFlagWithoutEventIndex) {
  Desc(kDesc, 0, Buffer(0), 8, 0);
  Virtqueue queue = Queue();
  const uint16_t none = kVringAvailNoInterrupt;
  std::memcpy(base_ + kAvail, &none, 2);
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  queue.Return(chain, 0);
  EXPECT_FALSE(queue.Publish());
  EXPECT_FALSE(queue.Publish());  // nothing new
}

TEST_F(VirtqueueTest, KicksAreAskedForOnlyWhenTheRingIsEmpty) {
  Desc(kDesc, 0, Buffer(0), 8, 0);
  Virtqueue queue = Queue();
  queue.DisableKicks();
  EXPECT_EQ(Word(kUsed), kVringUsedNoNotify);
  EXPECT_FALSE(queue.EnableKicks());
  EXPECT_EQ(Word(kUsed), 0);
  Offer(0);
  EXPECT_TRUE(queue.EnableKicks());  // the one that came in between is not to be missed
}

TEST_F(VirtqueueTest, ARingThatIsTakenOverGoesOnWhereItWas) {
  Desc(kDesc, 0, Buffer(0), 8, 0);
  {
    Virtqueue queue = Queue();
    Offer(0);
    DescriptorChain chain;
    ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
    queue.Return(chain, 0);
    queue.Publish();
    EXPECT_EQ(queue.next_avail(), 1);
  }
  VringLayout layout = Layout();
  layout.base = 1;
  Virtqueue queue = Queue(layout);
  Offer(0);
  DescriptorChain chain;
  ASSERT_EQ(queue.Pop(chain), Virtqueue::PopResult::kChain);
  queue.Return(chain, 0);
  queue.Publish();
  EXPECT_EQ(Word(kUsed + 2), 2);
}

struct BadLayout {
  const char* what;
  uint32_t size;
  uint64_t desc;
  uint64_t avail;
  uint64_t used;
};

class BadLayoutTest : public VirtqueueTest, public ::testing::WithParamInterface<BadLayout> {};

TEST_P(BadLayoutTest, IsRefused) {
  const BadLayout& bad = GetParam();
  const VringLayout layout{.size = bad.size,
                           .desc_user_address = kUserBase + bad.desc,
                           .avail_user_address = kUserBase + bad.avail,
                           .used_user_address = kUserBase + bad.used};
  EXPECT_EQ(Virtqueue::Create(layout, memory_).status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(All, BadLayoutTest,
                         ::testing::Values(BadLayout{"SizeZero", 0, kDesc, kAvail, kUsed},
                                           BadLayout{"SizeOdd", 6, kDesc, kAvail, kUsed},
                                           BadLayout{"SizeHuge", 65536, kDesc, kAvail, kUsed},
                                           BadLayout{"DescMisaligned", 8, kDesc + 8, kAvail, kUsed},
                                           BadLayout{"AvailMisaligned", 8, kDesc, kAvail + 1, kUsed},
                                           BadLayout{"UsedMisaligned", 8, kDesc, kAvail, kUsed + 2},
                                           BadLayout{"DescOutside", 8, kMemoryBytes - 64, kAvail, kUsed},
                                           BadLayout{"AvailOutside", 8, kDesc, kMemoryBytes - 2, kUsed},
                                           BadLayout{"UsedOutside", 8, kDesc, kAvail, kMemoryBytes}),
                         [](const auto& info) { return info.param.what; });

}  // namespace
}  // namespace kinsock
