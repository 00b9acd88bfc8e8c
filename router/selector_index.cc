// SPDX-License-Identifier: Apache-2.0
#include "router/selector_index.h"

#include <bit>
#include <cstddef>

namespace kinsock {

SelectorIndex::SelectorIndex(std::vector<const PolicySelector*> selectors)
    : selectors_(std::move(selectors)), everyone_(selectors_.size()), host_(selectors_.size()) {
  absl::flat_hash_map<Label, size_t> demand;
  for (const PolicySelector* selector : selectors_) {
    for (const auto& label : selector->labels) ++demand[label];
  }
  for (uint32_t member = 0; member < selectors_.size(); ++member) File(member, demand);
  if (!cids_.empty()) by_cid_.emplace(cids_, BitSet(selectors_.size()));
}

void SelectorIndex::File(uint32_t member, absl::flat_hash_map<Label, size_t>& demand) {
  const PolicySelector& selector = *selectors_[member];
  if (selector.MatchesHost()) host_.Set(member);
  if (selector.host) return;
  if (selector.empty()) return everyone_.Set(member);
  if (!selector.vm.empty()) return by_vm_[selector.vm].push_back(member);
  if (!selector.labels.empty()) {
    const std::pair<const std::string, std::string>* rarest = nullptr;
    for (const auto& label : selector.labels) {
      if (rarest == nullptr || demand[label] < demand[*rarest]) rarest = &label;
    }
    return by_label_[*rarest].push_back(member);
  }
  if (selector.cids.has_value()) return cids_.push_back({selector.cids->first, selector.cids->last, member});
  for (const std::string& group : selector.groups) by_group_[group].push_back(member);
}

BitSet SelectorIndex::Match(const VmIdentity& identity) const {
  BitSet matching = everyone_;
  const auto ask = [&](uint32_t member) {
    if (selectors_[member]->Matches(identity)) matching.Set(member);
  };
  const auto ask_filed = [&](const auto& file, const auto& key) {
    const auto found = file.find(key);
    if (found == file.end()) return;
    for (const uint32_t member : found->second) ask(member);
  };
  ask_filed(by_vm_, identity.vm);
  for (const auto& label : identity.labels) ask_filed(by_label_, Label(label));
  for (const std::string& group : identity.groups->names()) ask_filed(by_group_, group);
  if (!by_cid_.has_value()) return matching;
  const std::vector<uint64_t>& candidates = by_cid_->Candidates(identity.cid).words();
  for (size_t word = 0; word < candidates.size(); ++word) {
    for (uint64_t bits = candidates[word]; bits != 0; bits &= bits - 1) {
      ask(static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(bits))));
    }
  }
  return matching;
}

}  // namespace kinsock
