// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_VM_REQUESTS_H_
#define KINSOCK_SERVER_CONVERT_VM_REQUESTS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "server/manager/vm_change.h"
#include "server/model/vm_deletion.h"
#include "server/model/vm_drain.h"
#include "server/model/vm_goal.h"
#include "server/model/vm_spec.h"

namespace kinsock {

// From the requests of VmService to the daemon's values; the other way is vm_conversion. INVALID_ARGUMENT FIELD_INVALID
// for what the messages allow and the values cannot say; the rest is for vm_validation. Pure functions; any thread.

absl::StatusOr<VmCreation> ToVmCreation(const v1::CreateVmRequest& request);
absl::StatusOr<VmApplication> ToVmApplication(const v1::ApplyVmRequest& request);
absl::StatusOr<VmUpdate> ToVmUpdate(const v1::UpdateVmRequest& request);
absl::StatusOr<VmGoal> ToVmGoal(const v1::WaitVmRequest& request);
absl::StatusOr<VmDrain> ToVmDrain(const v1::DrainVmRequest& request);
absl::StatusOr<VmDrain> ToVmDrain(const v1::ResumeVmRequest& request);
absl::StatusOr<VmReset> ToVmReset(const v1::ResetVmRequest& request);
absl::StatusOr<VmDeletion> ToVmDeletion(const v1::DeleteVmRequest& request);

// The id in `name`, "vms/{id}".
absl::StatusOr<std::string> ToVmId(std::string_view name);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_VM_REQUESTS_H_
