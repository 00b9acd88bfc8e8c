// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_
#define KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/allowance.h"
#include "base/clock.h"
#include "server/model/vm_event.h"
#include "server/rpc/event_log.h"

namespace kinsock {

// Says in the event log what becomes of each VM: VM_CREATED, VM_UPDATED, VM_CID_CHANGED, VM_STATE,
// VM_DELETED.
//
// Thread: main.
class LifecycleEvents {
 public:
  // Changes of state that one VM may bring into the log at once, and seconds for each one more: a VMM that connects and
  // goes without end must not push everything else out. Beyond: counted in the field "suppressed" of the next.
  static constexpr size_t kBurst = 16;
  static constexpr std::chrono::seconds kPerEvent{4};

  // Both outlive this.
  LifecycleEvents(EventLog& log, const Clock& clock) : log_(log), clock_(clock) {}

  void On(const VmEvent& change);

 private:
  // What was told of a VM.
  struct Known {
    VmState state = VmState::kUnspecified;
    int64_t generation = 0;
    Cid cid = 0;
    Allowance allowance{kBurst, kPerEvent};
  };

  EventLog& log_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, Known> known_;  // by uid
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_
