// SPDX-License-Identifier: Apache-2.0
#include "router/pair_table.h"

namespace kinsock {
namespace {

void AddWay(PairTotals::Way& way, const FlowInfo::Direction& direction) {
  way.bytes += direction.bytes;
  way.packets += direction.packets;
  way.credit_stalls += direction.credit_stalls;
}

void AddWay(PairTotals::Way& way, const PairTotals::Way& other) {
  way.bytes += other.bytes;
  way.packets += other.packets;
  way.credit_stalls += other.credit_stalls;
}

}  // namespace

void PairTotals::Add(const FlowInfo& flow) {
  if (flow.state == FlowInfo::State::kClosed) {
    ++(flow.accepted ? accepted : refused);
  } else if (flow.state != FlowInfo::State::kConnecting) {
    ++accepted;
    ++open;
  }
  AddWay(to_target, flow.to_target);
  AddWay(to_initiator, flow.to_initiator);
}

PairTotals& PairTotals::operator+=(const PairTotals& other) {
  accepted += other.accepted;
  refused += other.refused;
  open += other.open;
  AddWay(to_target, other.to_target);
  AddWay(to_initiator, other.to_initiator);
  return *this;
}

void PairTable::Add(const FlowInfo& flow) {
  const PairKey key = PairKey::Of(flow);
  auto pair = by_key_.find(key);
  if (pair == by_key_.end()) {
    if (pairs_.size() == kMaxPairs) {
      other_ += pairs_.back().totals;
      by_key_.erase(pairs_.back().key);
      pairs_.pop_back();
    }
    pairs_.push_front({key, {}});
    pair = by_key_.emplace(key, pairs_.begin()).first;
  } else {
    pairs_.splice(pairs_.begin(), pairs_, pair->second);
  }
  pairs_.front().totals.Add(flow);
}

void PairTable::Describe(std::vector<PairInfo>& pairs) const {
  pairs.insert(pairs.end(), pairs_.begin(), pairs_.end());
}

}  // namespace kinsock
