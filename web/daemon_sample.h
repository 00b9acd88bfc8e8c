// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_DAEMON_SAMPLE_H_
#define KINSOCK_WEB_DAEMON_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device/device_totals.h"
#include "server/manager/cid_allocator.h"
#include "server/model/network.h"
#include "server/model/vm.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/call_queue.h"
#include "server/store/state_store.h"

namespace kinsock {

// How the daemon was at a moment, as far as metrics tell. Plain value.
struct DaemonSample {
  struct Vm {
    VmSnapshotPtr vm;
    DeviceTotals totals;
  };
  struct Network {
    std::string id;
    CidAllocator::Counts cids;
    uint64_t default_allowed = 0;
    uint64_t default_denied = 0;
    std::vector<PolicyDefinitionPtr> policies;
  };
  struct Watches {
    size_t open = 0;
    uint64_t lagged = 0;  // ended because the client did not keep up
  };
  std::vector<Vm> vms;
  DeviceTotals all;  // also of VMs that are gone
  std::vector<Network> networks;
  std::vector<ReactorPool::ReactorInfo> reactors;
  ReactorPool::Durations durations;      // of connections
  std::optional<StateStoreStats> store;  // none: nothing is kept
  Watches vm_watches;
  Watches connection_watches;
  Watches event_watches;
  size_t captures = 0;
  size_t tunnels = 0;
  uint64_t capture_lost = 0;
  size_t api_connections = 0;
  CallQueue::Stats api_calls;
  uint64_t forgotten_flows = 0;
  uint64_t merged_pairs = 0;
  uint64_t dropped_log_lines = 0;
  bool draining = false;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_DAEMON_SAMPLE_H_
