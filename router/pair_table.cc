// SPDX-License-Identifier: Apache-2.0
#include "router/pair_table.h"

#include <iterator>

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
    if (flow.denied()) {
      ++denied;
      last_denial = {.time = flow.close_time, .port = flow.target.port, .reason = flow.close_reason};
    }
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
  denied += other.denied;
  if (other.last_denial.time > last_denial.time) last_denial = other.last_denial;
  open += other.open;
  AddWay(to_target, other.to_target);
  AddWay(to_initiator, other.to_initiator);
  return *this;
}

void PairTable::Add(const FlowInfo& flow) {
  const PairKey key = PairKey::Of(flow);
  const auto found = by_key_.find(key);
  const Entries::iterator entry = found != by_key_.end() ? found->second : Insert(key);
  pairs_.splice(pairs_.begin(), pairs_, entry);
  OfOne& of_one = by_initiator_.find(key.initiator.device)->second;
  of_one.splice(of_one.begin(), of_one, entry->of_one);
  entry->pair.totals.Add(flow);
}

PairTable::Entries::iterator PairTable::Insert(const PairKey& key) {
  const auto of_one = by_initiator_.find(key.initiator.device);
  if (of_one != by_initiator_.end() && of_one->second.size() == kMaxPairsOfOne) {
    Merge(of_one->second.back());
  } else if (pairs_.size() == kMaxPairs) {
    Merge(std::prev(pairs_.end()));
  }
  pairs_.push_front({.pair = {.key = key, .totals = {}}, .of_one = {}});
  OfOne& its_own = by_initiator_[key.initiator.device];
  its_own.push_front(pairs_.begin());
  pairs_.front().of_one = its_own.begin();
  by_key_[key] = pairs_.begin();
  return pairs_.begin();
}

void PairTable::Merge(Entries::iterator entry) {
  other_ += entry->pair.totals;
  merged_.Add();
  const auto of_one = by_initiator_.find(entry->pair.key.initiator.device);
  of_one->second.erase(entry->of_one);
  if (of_one->second.empty()) by_initiator_.erase(of_one);
  by_key_.erase(entry->pair.key);
  pairs_.erase(entry);
}

void PairTable::Describe(std::vector<PairInfo>& pairs) const {
  pairs.reserve(pairs.size() + pairs_.size());
  for (const Entry& entry : pairs_) pairs.push_back(entry.pair);
}

}  // namespace kinsock
