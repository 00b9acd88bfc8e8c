// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGED_VM_H_
#define KINSOCK_SERVER_MANAGED_VM_H_

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/device_stats.h"
#include "server/vm.h"
#include "server/vm_manager.h"
#include "server/vm_sockets.h"

namespace kinsock {

// What VmManager, in its several files, keeps of a VM. Thread: main.
struct VmManager::Vm {
  Vm(DeviceId device_id, VmSockets made) : device(device_id), sockets(std::move(made)) {}

  bool deleting() const { return now->status.state == VmState::kDeleting; }

  // Its deletion has begun, or will when it is drained or made.
  bool doomed() const { return deleting() || !deleters.empty(); }

  const DeviceId device;
  VmSockets sockets;
  std::shared_ptr<const DeviceStats> stats;  // the device's own
  VmSnapshotPtr now;
  bool served = false;
  DeviceStatus device_status;  // as last reported
  Done creator;                // waits until it is served
  // What came while it was being made: runs when it is served, or could not be. Each is a call under way.
  std::vector<EventLoop::Task> when_made;
  int changes_under_way = 0;   // that not all reactors have acknowledged
  std::vector<Done> deleters;  // wait until it is gone
  // The second in which status events are counted, and the timer that publishes at its end what was held back.
  MonotonicTime second;
  int events_in_second = 0;
  std::optional<EventLoop::TimerId> held_back;
  std::optional<EventLoop::TimerId> drain_deadline;
  std::optional<MonotonicTime> alone_since;  // no VMM is connected
  std::optional<EventLoop::TimerId> orphan_timer;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGED_VM_H_
