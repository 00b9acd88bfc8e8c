// SPDX-License-Identifier: Apache-2.0
#include "device/ring_share.h"

#include <gtest/gtest.h>

namespace kinsock {
namespace {

constexpr uint32_t kEntries = 128;

RingUse Use(std::initializer_list<ReceiverTraffic> all) {
  RingUse use;
  for (const ReceiverTraffic& traffic : all) use.Add(traffic);
  return use;
}

TEST(RingShareTest, ALoneReceiverHasTheWholeWindow) {
  const ReceiverTraffic busy{.flows = 8, .bytes = 1 << 20, .packets = 512};
  EXPECT_EQ(RingShare(busy, Use({busy}), kEntries), kMaxWindow);
}

TEST(RingShareTest, EqualsAreLeftAlone) {
  const ReceiverTraffic one{.flows = 3, .bytes = 1 << 20, .packets = 512};
  const ReceiverTraffic other{.flows = 3, .bytes = 64, .packets = 1};
  EXPECT_EQ(RingShare(one, Use({one, other}), kEntries), kMaxWindow);
  EXPECT_EQ(RingShare(other, Use({one, other}), kEntries), kMaxWindow);
}

// Half of the ring in packets of 2 KiB, for eight.
TEST(RingShareTest, TheFlowsOfOneWithMoreShareItsPartOfTheRing) {
  const ReceiverTraffic many{.flows = 8, .bytes = 512 * 2048, .packets = 512};
  const ReceiverTraffic one{.flows = 1, .bytes = 64 * 2048, .packets = 64};
  const RingUse use = Use({many, one, ReceiverTraffic{}});
  EXPECT_EQ(use.receivers, 2u);
  EXPECT_EQ(RingShare(many, use, kEntries), 64u * 2048 / 8);
  EXPECT_EQ(RingShare(one, use, kEntries), kMaxWindow);
}

TEST(RingShareTest, LargePacketsShareOneWindow) {
  const ReceiverTraffic many{.flows = 8, .bytes = 64 << 20, .packets = 1024};
  const ReceiverTraffic one{.flows = 1, .bytes = 1, .packets = 1};
  EXPECT_EQ(RingShare(many, Use({many, one}), kEntries), kMaxWindow / 8);
}

TEST(RingShareTest, ThereIsALeast) {
  const ReceiverTraffic tiny{.flows = 100, .bytes = 100, .packets = 100};
  const ReceiverTraffic nothing_measured{.flows = 2};
  const ReceiverTraffic one{.flows = 1, .bytes = 1, .packets = 1};
  EXPECT_EQ(RingShare(tiny, Use({tiny, one}), kEntries), kLeastShare);
  EXPECT_EQ(RingShare(nothing_measured, Use({nothing_measured, one}), kEntries), kLeastShare);
  EXPECT_EQ(RingShare(tiny, Use({tiny, one}), /*ring_entries=*/1), kLeastShare);
}

TEST(RingShareTest, WhoIsSentNothingIsNotCounted) {
  const RingUse use = Use({ReceiverTraffic{}});
  EXPECT_EQ(use.receivers, 0u);
  EXPECT_EQ(RingShare(ReceiverTraffic{}, use, kEntries), kMaxWindow);
}

}  // namespace
}  // namespace kinsock
