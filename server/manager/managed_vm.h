// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_MANAGED_VM_H_
#define KINSOCK_SERVER_MANAGER_MANAGED_VM_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/allowance.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_sockets.h"
#include "server/model/vm.h"

namespace kinsock {

// What VmManager, in its several files, keeps of a VM. Thread: main.
struct VmManager::Vm {
  explicit Vm(DeviceId device_id) : device(device_id) {}

  bool failed() const { return now->status.state == VmState::kFailed; }
  // Nothing is being made or written of it: it may be changed.
  bool settled() const { return served && !writing && !moving; }
  bool deleting() const { return now->status.state == VmState::kDeleting; }

  // Its deletion has begun, or will when it is drained or made.
  bool doomed() const { return deleting() || letting_go || !deleters.empty(); }

  // Where its CID is from.
  std::string network() const { return NetworkOf(now->definition->spec); }

  const DeviceId device;
  std::optional<VmSockets> sockets;          // none: it is FAILED, and there is no device
  std::shared_ptr<const DeviceStats> stats;  // the device's own
  WallTime stats_since;
  VmSnapshotPtr now;
  bool keep_cid = false;       // its deletion makes a reservation of its CID
  bool in_network = false;     // counted there
  bool saved = false;          // goes into the journal
  bool served = false;         // and, if it is saved, written; FAILED ones are as served as they get
  bool writing = false;        // a mutation is on its way into the journal
  bool letting_go = false;     // and this is its deletion
  bool moving = false;         // the reactors are being told of its new CID
  DeviceStatus device_status;  // as last reported
  VmTroubles troubles;
  uint64_t store_failed_at = 0;  // troubles.store: VmManager::writes_ then
  Done creator;                  // waits until it is served
  // What came while it was not settled: runs when it is, or is no more. Each is a call under way.
  std::vector<EventLoop::Task> when_made;
  int changes_under_way = 0;  // that not all reactors have acknowledged
  // Go into the journal with its making, and with its deletion.
  std::vector<AnsweredRequest> made_for, deleted_for;
  std::vector<Done> deleters;  // wait until it is gone; none: nobody has asked for that
  // The second in which status events are counted, and the timer that publishes at its end what was held back.
  MonotonicTime second;
  int events_in_second = 0;
  std::optional<EventLoop::TimerId> held_back;
  // Lines about its state at once, and the time for each one more: a VMM or a guest that comes and goes without end
  // must not fill the log. Beyond: counted in "suppressed" of the next one, which comes when that time has passed.
  static constexpr std::chrono::seconds kPerStateLine{4};
  Allowance state_lines{16, kPerStateLine};
  uint64_t untold_states = 0;                    // that it was in, or is, without a line
  std::optional<EventLoop::TimerId> state_line;  // one is due
  std::optional<EventLoop::TimerId> drain_deadline;
  std::optional<MonotonicTime> alone_since;  // no VMM is connected
  std::optional<EventLoop::TimerId> orphan_timer;

  // None of them may run when it is gone.
  void CancelTimers(EventLoop& loop) const {
    for (const auto* timer : {&held_back, &state_line, &drain_deadline, &orphan_timer}) {
      if (timer->has_value()) loop.Cancel(**timer);
    }
  }
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_MANAGED_VM_H_
