// SPDX-License-Identifier: Apache-2.0
#include "router/group_set.h"

#include <algorithm>
#include <utility>

namespace kinsock {

GroupSet::GroupSet(std::vector<std::string> names) : names_(std::move(names)) {
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

bool GroupSet::SharesOneWith(const GroupSet& other) const {
  auto mine = names_.begin();
  auto theirs = other.names_.begin();
  while (mine != names_.end() && theirs != other.names_.end()) {
    const int order = mine->compare(*theirs);
    if (order == 0) return true;
    if (order < 0) {
      ++mine;
    } else {
      ++theirs;
    }
  }
  return false;
}

}  // namespace kinsock
