// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_goal.h"

#include <algorithm>

namespace kinsock {

bool VmGoal::IsReachedBy(const VmSnapshot& vm) const {
  const VmStatus& status = vm.status;
  if (kind == Kind::kDeleted || status.observed_generation < min_generation) return false;
  if (kind == Kind::kState) return status.state == state;
  if (kind == Kind::kGeneration) return true;
  return std::any_of(status.conditions.begin(), status.conditions.end(), [this](const Condition& each) {
    return each.type == condition && each.known && each.holds == holds;
  });
}

}  // namespace kinsock
