// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_STATS_H_
#define KINSOCK_SERVER_MODEL_VM_STATS_H_

#include "device/device_totals.h"
#include "server/model/vm.h"

namespace kinsock {

// What one VM's device has counted, or those of several together. Plain value.
struct VmStats {
  WallTime since;
  DeviceTotals totals;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_STATS_H_
