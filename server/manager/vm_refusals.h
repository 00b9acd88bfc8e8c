// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_REFUSALS_H_
#define KINSOCK_SERVER_MANAGER_VM_REFUSALS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/model/vm.h"
#include "server/status/error.h"

namespace kinsock {

// Why the manager does not do what it is asked, as clients are told (see server/status/error.h).

// NOT_FOUND VM_NOT_FOUND.
absl::Status VmNotFound(const std::string& id);

// ABORTED CONCURRENT_CHANGE.
absl::Status VmIsBeingMade(const std::string& id);

// ALREADY_EXISTS VM_EXISTS. `vm` has the name that somebody else wants.
absl::Status VmExists(const VmSnapshot& vm);

// ABORTED UID_MISMATCH, ETAG_MISMATCH. `wanted` is what the client takes the VM for.
absl::Status UidMismatch(const VmDefinition& vm, const std::string& wanted);
absl::Status EtagMismatch(const VmDefinition& vm, const std::string& wanted);

// FAILED_PRECONDITION VM_DELETING.
absl::Status VmIsBeingDeleted(const VmDefinition& vm);

// FAILED_PRECONDITION MANAGED_BY_FILE.
absl::Status VmManagedByFile(const VmDefinition& vm);

// FAILED_PRECONDITION VM_FAILED.
absl::Status VmIsFailed(const VmDefinition& vm);

// FAILED_PRECONDITION IMMUTABLE_FIELD. `fields`: what would have to change, at least one.
absl::Status ImmutableFields(const VmDefinition& vm, const std::vector<FieldViolation>& fields);

// FAILED_PRECONDITION VM_ATTACHED.
absl::Status VmAttached(const VmDefinition& vm, pid_t vmm);

// UNAVAILABLE DRAINING.
absl::Status NodeDraining();

// UNAVAILABLE SHUTTING_DOWN.
absl::Status ShuttingDown();

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_REFUSALS_H_
