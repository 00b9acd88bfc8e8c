// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONNECTION_CONVERSION_H_
#define KINSOCK_SERVER_CONNECTION_CONVERSION_H_

#include <string>

#include "api/kinsock/v1/connection.pb.h"
#include "router/flow_info.h"
#include "server/vm.h"

namespace kinsock {

// The VMs that the two ends of a connection name; null where the VM is gone.
struct FlowVms {
  VmSnapshotPtr initiator;
  VmSnapshotPtr target;
};

// `instance` makes the connection's name unique across restarts of the daemon. Pure function; any thread.
v1::Connection ToProto(const FlowInfo& flow, const FlowVms& vms, const std::string& instance);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONNECTION_CONVERSION_H_
