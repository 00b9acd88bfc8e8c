// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_VM_CONVERSION_H_
#define KINSOCK_SERVER_VM_CONVERSION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/vm.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "server/vm.h"
#include "server/vm_event.h"
#include "server/vm_spec.h"

namespace kinsock {

// Between the API's VM messages and the daemon's values. Pure functions; any thread.

// What a client wants created. INVALID_ARGUMENT FIELD_INVALID for what the messages allow and VmSpec cannot say; the
// rest is for vm_validation.
absl::StatusOr<VmCreation> ToVmCreation(const v1::CreateVmRequest& request);

// The id in `name`, "vms/{id}". INVALID_ARGUMENT FIELD_INVALID.
absl::StatusOr<std::string> ToVmId(std::string_view name);

// `epoch`: of the resource version.
v1::Vm ToProto(const VmSnapshot& vm, const std::string& epoch);

v1::WatchVmsResponse ToProto(const VmEvent& event, const std::string& epoch);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_VM_CONVERSION_H_
