// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_
#define KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/allowance.h"
#include "base/event_loop.h"
#include "server/model/vm.h"
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
  // goes without end must not push everything else out. Beyond: counted in the field "suppressed" of the next, which
  // comes kPerEvent later if the VM does not change any more: the last event says what the VM is.
  static constexpr size_t kBurst = 16;
  static constexpr std::chrono::seconds kPerEvent{4};

  // Both outlive this.
  LifecycleEvents(EventLoop& main, EventLog& log) : main_(main), log_(log) {}
  ~LifecycleEvents();
  LifecycleEvents(const LifecycleEvents&) = delete;
  LifecycleEvents& operator=(const LifecycleEvents&) = delete;

  void On(const VmEvent& change);

 private:
  // What was told of a VM.
  struct Known {
    VmSnapshotPtr vm;                        // as it was last; null: it is new
    VmState before = VmState::kUnspecified;  // its state before the last change of that
    uint64_t untold = 0;                     // such changes
    Allowance allowance{kBurst, kPerEvent};
    std::optional<EventLoop::TimerId> timer;  // until the state may be told again
  };

  void TellDefinition(const VmSnapshot& vm, const VmSnapshot* before);
  void TellState(const std::string& uid, Known& known);
  void Forget(const std::string& uid);

  EventLoop& main_;
  EventLog& log_;
  absl::flat_hash_map<std::string, Known> known_;  // by uid
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_LIFECYCLE_EVENTS_H_
