// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_DAEMON_SAMPLE_H_
#define KINSOCK_WEB_DAEMON_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "device/device_totals.h"
#include "server/cid_allocator.h"
#include "server/network.h"
#include "server/reactor_pool.h"
#include "server/vm.h"

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
  std::vector<Vm> vms;
  DeviceTotals all;  // also of VMs that are gone
  std::vector<Network> networks;
  std::vector<ReactorPool::ReactorInfo> reactors;
  size_t vm_watches = 0;
  size_t connection_watches = 0;
  size_t event_watches = 0;
  size_t captures = 0;
  uint64_t capture_lost = 0;
  size_t api_connections = 0;
  uint64_t forgotten_flows = 0;
  bool draining = false;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_DAEMON_SAMPLE_H_
