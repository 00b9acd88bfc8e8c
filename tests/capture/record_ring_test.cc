// SPDX-License-Identifier: Apache-2.0
#include "capture/record_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "capture/point_counters.h"

namespace kinsock {
namespace {

bool Add(RecordRing& ring, const std::string& text) {
  char* const place = ring.Reserve(text.size());
  if (place == nullptr) return false;
  std::memcpy(place, text.data(), text.size());
  ring.Commit();
  return true;
}

// The oldest record, as far as `size`; "" if there is none.
std::string Take(RecordRing& ring, size_t size) {
  const absl::Span<const char> front = ring.Front();
  if (front.empty()) return "";
  std::string text(front.data(), size);
  ring.Pop();
  return text;
}

TEST(RecordRingTest, RecordsComeOutAsTheyWentIn) {
  RecordRing ring(1024);
  EXPECT_TRUE(ring.Front().empty());
  EXPECT_TRUE(Add(ring, "one"));
  EXPECT_TRUE(Add(ring, "second"));
  EXPECT_EQ(Take(ring, 3), "one");
  EXPECT_EQ(Take(ring, 6), "second");
  EXPECT_TRUE(ring.Front().empty());
}

TEST(RecordRingTest, WhatWasNotCommittedIsNotThere) {
  RecordRing ring(1024);
  ASSERT_NE(ring.Reserve(100), nullptr);
  EXPECT_TRUE(ring.Front().empty());
  EXPECT_TRUE(Add(ring, "this"));
  EXPECT_EQ(Take(ring, 4), "this");
}

TEST(RecordRingTest, AFullOneRefusesAndLosesNothingThatItHas) {
  RecordRing ring(64);
  EXPECT_TRUE(Add(ring, std::string(24, 'a')));  // 32 bytes with what is in front
  EXPECT_TRUE(Add(ring, std::string(24, 'b')));
  EXPECT_FALSE(Add(ring, "c"));
  EXPECT_EQ(ring.Used(0), 64u);
  EXPECT_EQ(Take(ring, 24), std::string(24, 'a'));
  EXPECT_TRUE(Add(ring, "c"));
  EXPECT_EQ(Take(ring, 24), std::string(24, 'b'));
  EXPECT_EQ(Take(ring, 1), "c");
}

TEST(RecordRingTest, OneThatDoesNotFitAtTheEndLiesAtTheBeginning) {
  RecordRing ring(128);
  EXPECT_TRUE(Add(ring, std::string(80, 'a')));  // up to 88
  EXPECT_FALSE(Add(ring, std::string(64, 'b'))) << "the beginning is in use";
  EXPECT_EQ(Take(ring, 80), std::string(80, 'a'));
  EXPECT_TRUE(Add(ring, std::string(64, 'b')));
  EXPECT_EQ(Take(ring, 64), std::string(64, 'b'));
  EXPECT_FALSE(Add(ring, std::string(121, 'c'))) << "larger than the ring";
  EXPECT_TRUE(ring.Front().empty());
}

// A writer that loses what finds no room, and a reader that checks that what it gets is whole and in order.
TEST(RecordRingTest, TwoThreadsSeeWholeRecordsInOrder) {
  constexpr uint32_t kRecords = 200'000;
  RecordRing ring(4096);
  std::atomic<bool> over{false};
  uint64_t lost = 0;
  std::thread writer([&] {
    for (uint32_t i = 0; i < kRecords; ++i) {
      const size_t size = sizeof(i) + i % 300;
      char* const place = ring.Reserve(size);
      if (place == nullptr) {
        ++lost;
        continue;
      }
      std::memset(place, static_cast<int>(i % 251), size);
      std::memcpy(place, &i, sizeof(i));
      ring.Commit();
    }
    over = true;
  });
  uint64_t taken = 0;
  int64_t last = -1;
  const auto take = [&] {
    const absl::Span<const char> front = ring.Front();
    if (front.empty()) return false;
    uint32_t number;
    std::memcpy(&number, front.data(), sizeof(number));
    EXPECT_GT(static_cast<int64_t>(number), last);
    last = number;
    const size_t size = sizeof(number) + number % 300;
    for (size_t i = sizeof(number); i < size; ++i) {
      if (front[i] != static_cast<char>(number % 251)) ADD_FAILURE() << "record " << number << ", byte " << i;
    }
    ring.Pop();
    ++taken;
    return true;
  };
  while (!over) take();
  writer.join();
  while (take()) continue;
  EXPECT_EQ(taken + lost, kRecords);
}

TEST(PointCountersTest, EachPointHasItsOwnAndTheRestIsCountedTogether) {
  PointCounters counters;
  for (uint64_t key = 1; key <= PointCounters::kMaxPoints + 10; ++key) {
    counters.Of(key).seen.Add(key);
    if (key % 2 == 0) counters.Of(key).lost.Add();
  }
  counters.Of(7).seen.Add();
  size_t points = 0;
  counters.ForEach([&](uint64_t key, const PointCounters::Counts& counts) {
    if (key == 0) {
      EXPECT_EQ(counts.seen.value(), PointCounters::kMaxPoints * 10 + 55);
      EXPECT_EQ(counts.lost.value(), 5u);
      return;
    }
    ++points;
    EXPECT_EQ(counts.seen.value(), key == 7 ? 8 : key);
    EXPECT_EQ(counts.lost.value(), key % 2 == 0 ? 1u : 0u);
  });
  EXPECT_EQ(points, PointCounters::kMaxPoints);
}

}  // namespace
}  // namespace kinsock
