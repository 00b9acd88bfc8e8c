// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_REACTOR_H_
#define KINSOCK_DEVICE_REACTOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "device/flow_ids.h"
#include "device/vsock_device.h"
#include "router/flow_info.h"
#include "router/network.h"
#include "router/policy_change.h"
#include "router/route_table.h"

namespace kinsock {

// One thread of the data plane: an event loop, the devices that live on it, and its copy of all routes. Others
// reach it through Post(); everything else is called on its thread.
class Reactor {
 public:
  // Called on the reactor's thread.
  struct Callbacks {
    std::function<void(DeviceId, const DeviceStatus&)> on_status;
    std::function<void(std::shared_ptr<const GuestMemory>)> discard;
  };

  // Starts the thread. `index` tells it apart from the others, from 0. `max_spin`: EventLoop::set_max_spin.
  Reactor(uint16_t index, std::chrono::nanoseconds max_spin, Callbacks callbacks);
  // Ends all devices and the thread. Messages are still taken, and never served: other reactors may have some
  // to send until they have been stopped too.
  void Stop();
  // After Stop() of all reactors.
  ~Reactor();

  // Any thread: `task` runs on the reactor's.
  void Post(EventLoop::Task task) { loop_.Post(std::move(task)); }

  // The device's port, for the route tables.
  absl::StatusOr<std::shared_ptr<Port>> AddDevice(DeviceSpec spec);
  void RemoveDevice(DeviceId id);
  // The routes of a network; made when they are asked for first.
  RouteTable& Routes(NetworkId network);
  // Nothing of the network is left.
  void RemoveNetwork(NetworkId network) { networks_.erase(network); }
  // Null if it is gone.
  VsockDevice* Find(DeviceId id);
  void DescribeFlows(std::vector<FlowInfo>& flows) const;

 private:
  EventLoop loop_;
  Callbacks callbacks_;
  absl::flat_hash_map<NetworkId, std::unique_ptr<RouteTable>> networks_;  // devices refer to the tables
  FlowIds flow_ids_;
  absl::flat_hash_map<DeviceId, std::unique_ptr<VsockDevice>> devices_;
  std::thread thread_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_REACTOR_H_
