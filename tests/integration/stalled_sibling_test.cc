// SPDX-License-Identifier: Apache-2.0
//
// A guest that takes nothing delays nobody but itself, and gets everything when it comes back.
#include <vector>

#include "router/unread_packets.h"
#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

class StalledSiblingTest : public SwitchTest, public ::testing::WithParamInterface<size_t> {
 protected:
  StalledSiblingTest() : SwitchTest(GetParam()) {}

  void Transfer(Pair pair, uint32_t seed, uint64_t bytes) {
    pair.server.ExpectPattern(seed);
    pair.client.SendPattern(seed, bytes);
    RunUntil([&] { return pair.server.received_bytes() >= bytes; });
    EXPECT_EQ(pair.server.Verdict(bytes), "exact");
  }
};
INSTANTIATE_TEST_SUITE_P(Reactors, StalledSiblingTest, ::testing::Values(1, 2));

TEST_P(StalledSiblingTest, DelaysNobodyAndGetsItAllInTheEnd) {
  constexpr uint64_t kBytes = 2u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  SimulatedGuest& awake = Boot(Cid(5));
  Pair stuck = Connect(sender, sleeper);
  stuck.server.ExpectPattern(1);

  sleeper.set_frozen(true);
  stuck.client.SendPattern(1, kBytes);
  RunUntilIdle();
  EXPECT_LE(stuck.client.sent_bytes(), 256u * 1024);  // its window, not more

  Transfer(Connect(sender, awake), 2, kBytes);
  Transfer(Connect(awake, sender, Port(81)), 3, kBytes);
  EXPECT_TRUE(stuck.client.established());

  sleeper.set_frozen(false);
  RunUntil([&] { return stuck.server.received_bytes() >= kBytes; });
  EXPECT_EQ(stuck.server.Verdict(kBytes), "exact");
}

TEST_P(StalledSiblingTest, ManyStreamsToItDelayNobody) {
  constexpr uint64_t kBytes = 300'000;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  SimulatedGuest& awake = Boot(Cid(5));
  std::vector<Pair> stuck;
  for (int i = 0; i < 32; ++i) stuck.push_back(Connect(sender, sleeper));

  sleeper.set_frozen(true);
  for (uint32_t i = 0; i < stuck.size(); ++i) {
    stuck[i].server.ExpectPattern(10 + i);
    stuck[i].client.SendPattern(10 + i, kBytes);
  }
  RunUntilIdle();
  Transfer(Connect(sender, awake), 2, 1u << 20);

  sleeper.set_frozen(false);
  for (Pair& pair : stuck) {
    RunUntil([&] { return pair.server.received_bytes() >= kBytes; });
    EXPECT_EQ(pair.server.Verdict(kBytes), "exact");
  }
}

// Chains that wait for the sleeper must not use up the sender's ring.
TEST_P(StalledSiblingTest, ASmallRingIsNotParked) {
  GuestOptions small;
  small.ring_entries = 8;
  SimulatedGuest& sender = Boot(Cid(3), small);
  SimulatedGuest& sleeper = Boot(Cid(4));
  SimulatedGuest& awake = Boot(Cid(5));
  std::vector<Pair> stuck;
  for (int i = 0; i < 16; ++i) stuck.push_back(Connect(sender, sleeper));
  sleeper.set_frozen(true);
  for (Pair& pair : stuck) pair.client.SendPattern(1, 256 * 1024);
  RunUntilIdle();
  Transfer(Connect(sender, awake), 2, 1u << 20);
}

// Of a packet that went into the last buffers in part, only the rest still waits: the receiver's grant for what it has
// read may be used in full.
TEST_P(StalledSiblingTest, APacketHalfDeliveredWaitsForItsRestOnly) {
  constexpr uint64_t kWindow = 256 * 1024;
  GuestOptions few;
  few.rx_buffers = 60;  // three packets of 64 KiB and some of the fourth
  GuestOptions small_ring;
  small_ring.ring_entries = 4;  // what waits is copied aside at once
  SimulatedGuest& sender = Boot(Cid(3), small_ring);
  SimulatedGuest& sleeper = Boot(Cid(4), few);
  Pair pair = Connect(sender, sleeper);
  pair.server.ExpectPattern(1);
  sleeper.StopPosting();
  pair.client.SendPattern(1, 2 * kWindow);
  RunUntilIdle();
  EXPECT_GT(pair.server.received_bytes(), 3 * 65536u);
  // All that is known to have been read, and one packet that Linux would not tell of yet.
  EXPECT_GT(pair.client.sent_bytes(), pair.server.received_bytes() + kWindow - 65536);

  sleeper.ResumePosting();
  RunUntil([&] { return pair.server.received_bytes() >= 2 * kWindow; });
  EXPECT_EQ(pair.server.Verdict(2 * kWindow), "exact");
}

TEST_P(StalledSiblingTest, WhatItMayHoldIsBounded) {
  Backend::VmOptions small;
  small.limits.max_buffered_bytes = 1u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4), {}, small);
  SimulatedGuest& awake = Boot(Cid(5));
  std::vector<Pair> stuck;
  for (int i = 0; i < 32; ++i) stuck.push_back(Connect(sender, sleeper));

  // 32 windows of 256 KiB are eight times what the VM may have waiting.
  sleeper.set_frozen(true);
  for (uint32_t i = 0; i < stuck.size(); ++i) stuck[i].client.SendPattern(i, 256 * 1024);
  RunUntilIdle();
  uint64_t queued = 0;
  for (const FlowInfo& flow : switch_flows()) queued += flow.to_target.queued_bytes;
  EXPECT_LE(queued, small.limits.max_buffered_bytes);
  Transfer(Connect(sender, awake), 2, 1u << 20);

  sleeper.set_frozen(false);
  RunUntilIdle();
  for (const Pair& pair : stuck) {
    EXPECT_EQ(pair.client.closed(), pair.server.closed());
    if (pair.server.established()) {
      EXPECT_EQ(pair.server.received_bytes(), 256u * 1024);
    }
  }
}

TEST_P(StalledSiblingTest, OneThatNeverPostedABufferIsWaitedFor) {
  GuestOptions deaf;
  deaf.posts_rx = false;
  SimulatedGuest& caller = Boot(Cid(3));
  SimulatedGuest& late = Boot(Cid(4), deaf);
  SimulatedGuest& awake = Boot(Cid(5));
  late.Listen(Port(80));
  Stream call = caller.Connect(late.cid(), Port(80));
  Transfer(Connect(caller, awake), 1, 100'000);
  EXPECT_TRUE(call.connecting());

  late.ResumePosting();
  RunUntil([&] { return call.established(); });
}

TEST_P(StalledSiblingTest, TwoThatSleepOverAFloodWakeToAllOfIt) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& left = Boot(Cid(3));
  SimulatedGuest& right = Boot(Cid(4));
  std::vector<Pair> pairs;
  for (int i = 0; i < 8; ++i) pairs.push_back(Connect(left, right));
  left.StopPosting();
  right.StopPosting();
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    pairs[i].server.ExpectPattern(i);
    pairs[i].client.SendPattern(i, kBytes);
    pairs[i].client.ExpectPattern(100 + i);
    pairs[i].server.SendPattern(100 + i, kBytes);
  }
  RunUntilIdle();
  left.ResumePosting();
  right.ResumePosting();
  for (const Pair& pair : pairs) {
    RunUntil([&] { return pair.server.received_bytes() >= kBytes && pair.client.received_bytes() >= kBytes; });
    EXPECT_EQ(pair.server.Verdict(kBytes), "exact");
    EXPECT_EQ(pair.client.Verdict(kBytes), "exact");
  }
}

TEST_P(StalledSiblingTest, APausedReaderHoldsUpOnlyItsOwnStream) {
  constexpr uint64_t kBytes = 1u << 20;
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& receiver = Boot(Cid(4));
  Pair paused = Connect(sender, receiver);
  paused.server.PauseReading();
  paused.server.ExpectPattern(1);
  paused.client.SendPattern(1, kBytes);
  Transfer(Connect(sender, receiver), 2, kBytes);
  EXPECT_EQ(paused.server.received_bytes(), 0u);

  paused.server.ResumeReading();
  RunUntil([&] { return paused.server.received_bytes() >= kBytes; });
  EXPECT_EQ(paused.server.Verdict(kBytes), "exact");
}

// Newer Linux resets a stream that has too many unread packets, however small (router/unread_packets.h).
TEST_P(StalledSiblingTest, APausedReaderIsNotGivenMorePacketsThanItsGuestCanKeep) {
  constexpr uint32_t kPiece = 200;
  constexpr uint64_t kBytes = 512 * 1024;
  GuestOptions small_buffers;
  small_buffers.rx_buffer_bytes = 44 + kPiece;
  GuestOptions small_packets;
  small_packets.tx_packet_bytes = kPiece;
  SimulatedGuest& sender = Boot(Cid(3), small_packets);
  SimulatedGuest& receiver = Boot(Cid(4), small_buffers);
  Pair paused = Connect(sender, receiver);
  paused.server.PauseReading();
  paused.server.ExpectPattern(1);
  paused.client.SendPattern(1, kBytes);
  Transfer(Connect(sender, receiver), 2, 64 * 1024);
  RunUntilIdle();

  const uint64_t kept = paused.server.connection().data_packets();  // its window would have held 1,310
  EXPECT_LE(kept, UnreadPackets::Limit(256 * 1024));
  EXPECT_GT(kept, UnreadPackets::Limit(256 * 1024) / 2);
  EXPECT_TRUE(paused.client.established());

  paused.server.ResumeReading();
  RunUntil([&] { return paused.server.received_bytes() >= kBytes; });
  EXPECT_EQ(paused.server.Verdict(kBytes), "exact");
}

TEST_P(StalledSiblingTest, WhatWasSentBeforeTheCloseStillArrives) {
  SimulatedGuest& sender = Boot(Cid(3));
  SimulatedGuest& sleeper = Boot(Cid(4));
  Pair pair = Connect(sender, sleeper);
  sleeper.StopPosting();
  pair.server.ExpectPattern(1);
  pair.client.SendPattern(1, 250'000);
  pair.client.Close();
  RunUntilIdle();
  sleeper.ResumePosting();
  RunUntil([&] { return pair.server.at_eof() && pair.client.closed(); });
  EXPECT_EQ(pair.server.Verdict(250'000), "exact");
  EXPECT_FALSE(pair.server.was_reset());
}

}  // namespace
}  // namespace kinsock::testing
