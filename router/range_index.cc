// SPDX-License-Identifier: Apache-2.0
#include "router/range_index.h"

#include <algorithm>
#include <limits>

namespace kinsock {
namespace {

constexpr uint32_t kLargest = std::numeric_limits<uint32_t>::max();

// Where the set of ranges that hold a number may change, ascending, without 0.
std::vector<uint32_t> Edges(const std::vector<RangeIndex::Range>& ranges) {
  std::vector<uint32_t> edges;
  edges.reserve(ranges.size() * 2);
  for (const RangeIndex::Range& range : ranges) {
    if (range.first > 0) edges.push_back(range.first);
    if (range.last < kLargest) edges.push_back(range.last + 1);
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

}  // namespace

RangeIndex::RangeIndex(const std::vector<Range>& ranges, const BitSet& everywhere) {
  const std::vector<uint32_t> edges = Edges(ranges);
  const size_t step = edges.size() / kBlocks + 1;
  begins_.push_back(0);
  for (size_t i = step - 1; i < edges.size(); i += step) begins_.push_back(edges[i]);
  blocks_.assign(begins_.size(), everywhere);
  for (const Range& range : ranges) {
    const size_t last = BlockOf(range.last);
    for (size_t block = BlockOf(range.first); block <= last; ++block) blocks_[block].Set(range.member);
  }
}

size_t RangeIndex::BlockOf(uint32_t number) const {
  return static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), number) - begins_.begin()) - 1;
}

}  // namespace kinsock
