// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_SELECTOR_INDEX_H_
#define KINSOCK_ROUTER_SELECTOR_INDEX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "router/bit_set.h"
#include "router/policy.h"
#include "router/range_index.h"

namespace kinsock {

// Which of many selectors match a VM, without asking each of them: a selector is filed under the one thing it demands
// that the fewest others demand too, and only those are asked that are filed under something the VM has.
//
// Immutable after construction; any thread.
class SelectorIndex {
 public:
  // Not owned; they outlive the index. The numbers in the answers are their positions.
  explicit SelectorIndex(std::vector<const PolicySelector*> selectors);

  BitSet Match(const VmIdentity& identity) const;
  const BitSet& host() const { return host_; }

 private:
  using Label = std::pair<std::string, std::string>;
  using Members = std::vector<uint32_t>;

  void File(uint32_t member, absl::flat_hash_map<Label, size_t>& demand);

  const std::vector<const PolicySelector*> selectors_;
  BitSet everyone_;  // demand nothing
  BitSet host_;
  absl::flat_hash_map<std::string, Members> by_vm_;
  absl::flat_hash_map<Label, Members> by_label_;
  absl::flat_hash_map<std::string, Members> by_group_;
  std::vector<RangeIndex::Range> cids_;
  std::optional<RangeIndex> by_cid_;  // none: no selector is filed by it
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_SELECTOR_INDEX_H_
