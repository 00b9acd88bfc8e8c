// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_CHANGE_H_
#define KINSOCK_SERVER_MANAGER_VM_CHANGE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/manager/vm_sockets.h"
#include "server/model/vm.h"
#include "server/model/vm_spec.h"
#include "server/status/error.h"

namespace kinsock {

// What can change of a VM that exists: labels, annotations, groups, quota, who says that it is ready, and how long it
// stays without a VMM. The rest is what its sockets, its rings and its peers were made with; that can only be another
// VM.

// A change of some of it. Plain value.
struct VmUpdate {
  std::string id;
  std::string etag;  // empty: whatever it is
  // Unset: stays as it is.
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<std::map<std::string, std::string>> annotations;
  std::optional<std::vector<std::string>> groups;
  std::optional<std::chrono::milliseconds> orphan_ttl;
  std::optional<Readiness> readiness;
  Quota quota;             // of it,
  QuotaMask quota_fields;  // these; the others stay as they are
  // Said beside it: must be so already. What has its default in it was not said.
  VmSpec also;
  std::string request_id;     // empty: not repeatable
  uint64_t request_hash = 0;  // as in VmCreation
  bool validate_only = false;
};

// All of a VM, made or changed until it is so. Plain value.
struct VmApplication {
  VmCreation vm;
  std::string etag;              // empty: whatever there is
  bool force_conflicts = false;  // also when the VM is the configuration's, until that is read again
};

// What is different in `wanted`, of what cannot change: the field, and how it is now. `paths`: of `wanted`, resolved.
// kWhereSaid: what has its default in `wanted` was not said.
enum class Compare : uint8_t { kAll, kWhereSaid };
std::vector<FieldViolation> ImmutableDifferences(const VmSnapshot& vm, const VmSpec& wanted, const VmSocketPaths& paths,
                                                 Compare compare);

// All that can change, as `wanted` has it. The request's own parts stay out.
VmUpdate UpdateTo(const VmCreation& wanted);

// `current` with `update` in it and one generation more; `current` itself when that says nothing else. INVALID_ARGUMENT
// FIELD_INVALID.
absl::StatusOr<std::shared_ptr<const VmDefinition>> Change(const std::shared_ptr<const VmDefinition>& current,
                                                           const VmUpdate& update);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_CHANGE_H_
