// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_CONNECTION_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_CONNECTION_CONVERSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/connection.pb.h"
#include "router/flow_info.h"
#include "server/model/vm.h"

namespace kinsock {

// The VMs that the two ends of a connection name; null where the VM is gone.
struct FlowVms {
  VmSnapshotPtr initiator;
  VmSnapshotPtr target;
};

// As the API numbers them; nothing for a value that is no state.
std::optional<FlowInfo::State> StateFromProto(int state);

// The number of the connection `name`, "connections/{instance}-{n}". INVALID_ARGUMENT FIELD_INVALID when it is no such
// name; NOT_FOUND CONNECTION_NOT_FOUND when it is of another `instance`.
absl::StatusOr<uint64_t> ToFlowId(std::string_view name, std::string_view instance);
std::string ConnectionName(uint64_t flow_id, std::string_view instance);

// NOT_FOUND CONNECTION_NOT_FOUND.
absl::Status ConnectionNotFound(std::string_view name);

// The names are the same on both sides; kNone has none in the API.
v1::Connection::CloseReason ReasonToProto(CloseReason reason);

// `instance` makes the connection's name unique across restarts of the daemon. Pure function; any thread.
v1::Connection ToProto(const FlowInfo& flow, const FlowVms& vms, const std::string& instance);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_CONNECTION_CONVERSION_H_
