// SPDX-License-Identifier: Apache-2.0
#include "router/unread_packets.h"

#include <gtest/gtest.h>

namespace kinsock {
namespace {

constexpr uint32_t kWindow = 256 * 1024;
constexpr uint32_t kLimit = UnreadPackets::Limit(kWindow);

TEST(UnreadPacketsTest, TheLimitLeavesRoomBelowWhatLinuxCanTake) {
  EXPECT_EQ(kLimit, 341u);
  EXPECT_LT(kLimit * UnreadPackets::kPacketCharge, kWindow);
  EXPECT_EQ(UnreadPackets::Limit(0), 4u);
}

TEST(UnreadPacketsTest, CountsWhatHasNotBeenRead) {
  UnreadPackets packets;
  for (uint32_t i = 1; i <= 100; ++i) packets.Add(10 * i, 0, kLimit);
  EXPECT_EQ(packets.Count(0), 100u);
  EXPECT_EQ(packets.Count(1000), 0u);
}

// Never too low, and too high by a group of a quarter of the limit at most, however far the reader has come.
TEST(UnreadPacketsTest, IsExactButForOneGroup) {
  UnreadPackets packets;
  uint32_t sent = 0xffff'ff00;  // wraps on its way
  uint32_t read = sent;
  constexpr uint32_t kBytes = 7;
  for (uint32_t i = 0; i < 100'000; ++i) {
    sent += kBytes;
    packets.Add(sent, read, kLimit);
    if ((sent - read) / kBytes >= 300) read += kBytes * (1 + i % 250);
    const uint32_t unread = (sent - read) / kBytes;
    ASSERT_GE(packets.Count(read), unread) << i;
    ASSERT_LE(packets.Count(read), unread + kLimit / 4 + 1) << i;
  }
}

TEST(UnreadPacketsTest, NothingIsForgottenBeyondTheLimit) {
  UnreadPackets packets;
  for (uint32_t i = 1; i <= 5000; ++i) packets.Add(i, 0, kLimit);
  EXPECT_EQ(packets.Count(0), 5000u);
}

}  // namespace
}  // namespace kinsock
