// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_DAEMON_SAMPLE_H_
#define KINSOCK_WEB_DAEMON_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/device_totals.h"
#include "server/vm.h"

namespace kinsock {

// How the daemon was at a moment, as far as metrics tell. Plain value.
struct DaemonSample {
  struct Vm {
    VmSnapshotPtr vm;
    DeviceTotals totals;
  };
  std::vector<Vm> vms;
  DeviceTotals all;  // also of VMs that are gone
  size_t resting_cids = 0;
  size_t vm_watches = 0;
  size_t event_watches = 0;
  size_t api_connections = 0;
  uint64_t forgotten_flows = 0;
  bool draining = false;
};

}  // namespace kinsock

#endif  // KINSOCK_WEB_DAEMON_SAMPLE_H_
