// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_RANGE_INDEX_H_
#define KINSOCK_ROUTER_RANGE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router/bit_set.h"

namespace kinsock {

// Which of many members have a range of 32-bit numbers that may hold a given one. The numbers are cut into blocks where
// ranges begin and end, and each block has the set of members that reach into it. As long as there are fewer ends than
// blocks the answer is exact; beyond, a block holds some ends, and the answer has a few members too many. So both the
// time of an answer and the memory (kBlocks bits for each member) are bounded, whatever the ranges are.
//
// Immutable after construction; any thread.
class RangeIndex {
 public:
  static constexpr size_t kBlocks = 128;

  struct Range {
    uint32_t first = 0;  // both included
    uint32_t last = 0;
    uint32_t member = 0;
  };

  // `everywhere`: members that are in every answer; its size is that of all answers.
  RangeIndex(const std::vector<Range>& ranges, const BitSet& everywhere);

  // All members with a range that holds `number`, and perhaps some without.
  const BitSet& Candidates(uint32_t number) const { return blocks_[BlockOf(number)]; }

 private:
  size_t BlockOf(uint32_t number) const;

  std::vector<uint32_t> begins_;  // of the blocks, ascending; the first is 0
  std::vector<BitSet> blocks_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_RANGE_INDEX_H_
