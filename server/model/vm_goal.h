// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_GOAL_H_
#define KINSOCK_SERVER_MODEL_VM_GOAL_H_

#include <cstdint>
#include <string>

#include "server/model/vm.h"

namespace kinsock {

// What a client waits for. Plain value.
struct VmGoal {
  enum class Kind : uint8_t { kGeneration, kState, kCondition, kDeleted };

  std::string id;
  Kind kind = Kind::kGeneration;
  VmState state = VmState::kUnspecified;  // kState
  std::string condition;                  // kCondition: its type
  bool holds = true;                      // kCondition: what is wanted of it
  int64_t min_generation = 0;             // in force at least; not for kDeleted

  // Whether a VM that exists is there. Never for kDeleted.
  bool IsReachedBy(const VmSnapshot& vm) const;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_GOAL_H_
