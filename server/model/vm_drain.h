// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_DRAIN_H_
#define KINSOCK_SERVER_MODEL_VM_DRAIN_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "server/model/vm_spec.h"

namespace kinsock {

// A drain holds a timer and nothing else; longer ones are forgotten ones.
inline constexpr std::chrono::hours kMaxDrainDeadline{24};

// What a VM is to do with its connections. Plain value.
struct VmDrain {
  enum class Action : uint8_t {
    kDrain,   // begins none from now on
    kResume,  // may begin some again
    kReset,   // ends all that it has
  };

  std::string id;
  std::string etag;  // empty: whatever it is
  Action action = Action::kDrain;
  // When connections that are left are reset; none: never.
  std::optional<std::chrono::milliseconds> reset_after;
  std::string request_id;     // empty: not repeatable
  uint64_t request_hash = 0;  // as in VmCreation
  bool validate_only = false;
};

// How to end a VM's connections. Plain value.
struct VmReset {
  VmDrain drain;                      // kReset
  std::optional<CidRequest> new_cid;  // none: its CID stays
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_DRAIN_H_
