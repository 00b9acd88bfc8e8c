// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_REACTOR_H_
#define KINSOCK_DEVICE_REACTOR_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/duration_histogram.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/flow_walk.h"
#include "device/vsock_device.h"
#include "router/flow_collector.h"
#include "router/flow_info.h"
#include "router/flow_journal.h"
#include "router/network.h"
#include "router/pair_table.h"
#include "router/policy_change.h"
#include "router/route_table.h"

namespace kinsock {

// What a reactor does, seen from outside. Plain value.
struct ReactorActivity {
  int64_t thread = 0;                       // the kernel's number of the thread; 0: it has not begun
  std::chrono::nanoseconds cpu_time{0};     // that the thread has used
  uint64_t sleeps = 0;                      // EventLoop::Activity
  DurationCounts rounds;                    // EventLoop::rounds
  std::chrono::nanoseconds since_round{0};  // since its last round began
  bool asleep = false;
};

// One thread of the data plane: an event loop, the devices that live on it, and its copy of all routes. Others
// reach it through Post(); everything else is called on its thread.
class Reactor {
 public:
  // Called on the reactor's thread.
  struct Callbacks {
    std::function<void(DeviceId, const DeviceStatus&)> on_status;
    std::function<void(std::shared_ptr<const GuestMemory>)> discard;
    // At most once a second; may be null.
    std::function<void(CollectedFlows)> on_denials;  // that had no right, or no room
    std::function<void(CollectedFlows)> on_logged;   // that a policy let through which says `log`
  };

  // Starts the thread. `index` tells it apart from the others, from 0. `max_spin`: EventLoop::set_max_spin. `clock`
  // outlives this.
  Reactor(uint16_t index, const Clock& clock, std::chrono::nanoseconds max_spin, Callbacks callbacks);
  // Ends all devices and the thread. Messages are still taken, and never served: other reactors may have some
  // to send until they have been stopped too.
  void BeginStop();
  // Whether the thread has ended within `patience`; then it is gone, and this is not asked again.
  bool AwaitStop(std::chrono::nanoseconds patience);
  // After all reactors have stopped.
  ~Reactor();

  // Any thread: `task` runs on the reactor's.
  void Post(EventLoop::Task task) { loop_.Post(std::move(task)); }

  // Any thread, until AwaitStop() is true: the reactor is not asked, so that one that hangs is told of, too.
  ReactorActivity activity() const;
  // Likewise: a wait in a system call ends, if there is one that has lasted for `too_long`.
  void BreakWait(std::chrono::nanoseconds too_long);

  // The device's port, for the route tables.
  absl::StatusOr<std::shared_ptr<Port>> AddDevice(DeviceSpec spec);
  void RemoveDevice(DeviceId id);
  // The routes of a network; made when they are asked for first.
  RouteTable& Routes(NetworkId network);
  // Nothing of the network is left.
  void RemoveNetwork(NetworkId network) { networks_.erase(network); }
  // Null if it is gone.
  VsockDevice* Find(DeviceId id);
  // Calls `done` with the connections of all devices that are open then (FlowWalk), at once if they are few. Not called
  // if the reactor is stopped before.
  void DescribeFlows(FlowWalk::Done done);
  // The connections that began here, have ended, and are remembered.
  FlowJournal& journal() { return journal_; }
  // Resets a connection for both its ends. What it then is; null: it is not, or no longer, known.
  std::optional<FlowInfo> ResetFlow(uint64_t id, CloseReason reason);

 private:
  void GoOn(uint64_t walk);

  EventLoop loop_;
  Callbacks callbacks_;
  absl::flat_hash_map<NetworkId, std::unique_ptr<RouteTable>> networks_;  // devices refer to the tables
  FlowJournal journal_;
  FlowCollector denials_;
  FlowCollector logged_;
  absl::flat_hash_map<DeviceId, std::unique_ptr<VsockDevice>> devices_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<FlowWalk>> walks_;
  uint64_t next_walk_ = 0;
  std::atomic<int64_t> thread_number_{0};
  std::binary_semaphore ended_{0};
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_REACTOR_H_
