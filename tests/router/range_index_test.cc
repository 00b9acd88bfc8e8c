// SPDX-License-Identifier: Apache-2.0
#include "router/range_index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace kinsock {
namespace {

constexpr uint32_t kLargest = std::numeric_limits<uint32_t>::max();

bool Holds(const RangeIndex::Range& range, uint32_t number) { return range.first <= number && number <= range.last; }

TEST(RangeIndexTest, FewRangesAreToldApartExactly) {
  const std::vector<RangeIndex::Range> ranges = {{0, 9, 0}, {10, 10, 1}, {5, kLargest, 2}, {kLargest, kLargest, 3}};
  const RangeIndex index(ranges, BitSet(4));
  for (const uint32_t number : {0u, 4u, 5u, 9u, 10u, 11u, 1'000'000u, kLargest - 1, kLargest}) {
    for (const RangeIndex::Range& range : ranges) {
      EXPECT_EQ(index.Candidates(number).Has(range.member), Holds(range, number)) << number << " " << range.member;
    }
  }
}

TEST(RangeIndexTest, WithoutRangesOnlyThoseEverywhereAreThere) {
  BitSet everywhere(70);
  everywhere.Set(69);
  const RangeIndex index({}, everywhere);
  EXPECT_TRUE(index.Candidates(0).Has(69));
  EXPECT_TRUE(index.Candidates(kLargest).Has(69));
  EXPECT_FALSE(index.Candidates(7).Has(68));
}

TEST(RangeIndexTest, ManyRangesAreNeverMissedAndSeldomInVain) {
  std::mt19937 random(1);
  std::vector<RangeIndex::Range> ranges;
  constexpr uint32_t kMembers = 5000;
  for (uint32_t member = 0; member < kMembers; ++member) {
    const uint32_t first = random();
    ranges.push_back({first, first + std::min<uint32_t>(random() % 1000, kLargest - first), member});
  }
  const RangeIndex index(ranges, BitSet(kMembers));
  size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    const uint32_t number = i % 2 == 0 ? random() : ranges[random() % kMembers].first;
    size_t candidates = 0;
    for (const RangeIndex::Range& range : ranges) {
      const bool candidate = index.Candidates(number).Has(range.member);
      candidates += candidate ? 1 : 0;
      if (Holds(range, number)) ASSERT_TRUE(candidate) << number;
    }
    most = std::max(most, candidates);
  }
  // The ends of some eighty ranges fall into one block.
  EXPECT_LE(most, 3 * 2 * kMembers / RangeIndex::kBlocks);
}

}  // namespace
}  // namespace kinsock
