// SPDX-License-Identifier: Apache-2.0
#include "router/policy.h"

#include <algorithm>

namespace kinsock {

bool PolicySelector::Matches(const VmIdentity& identity) const {
  if (host) return false;
  if (!vm.empty() && vm != identity.vm) return false;
  if (cids.has_value() && (identity.cid < cids->first || identity.cid > cids->last)) return false;
  for (const auto& [key, value] : labels) {
    const auto label = identity.labels.find(key);
    if (label == identity.labels.end() || label->second != value) return false;
  }
  if (groups.empty()) return true;
  return std::any_of(groups.begin(), groups.end(), [&](const std::string& group) {
    return std::binary_search(identity.groups->names().begin(), identity.groups->names().end(), group);
  });
}

bool Policy::CoversPort(uint32_t port) const {
  if (ports.empty()) return true;
  return std::any_of(ports.begin(), ports.end(),
                     [port](const PortSpan& span) { return span.first <= port && port <= span.last; });
}

}  // namespace kinsock
