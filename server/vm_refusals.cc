// SPDX-License-Identifier: Apache-2.0
#include "server/vm_refusals.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "server/error.h"
#include "server/text.h"

namespace kinsock {
namespace {

constexpr char kVmType[] = "kinsock.v1.Vm";

}  // namespace

absl::Status VmNotFound(const std::string& id) {
  const std::string name = "vms/" + id;
  return Error(absl::StatusCode::kNotFound, "VM_NOT_FOUND", absl::StrCat("there is no ", name))
      .With("vm", name)
      .Resource(kVmType, name);
}

absl::Status VmExists(const VmSnapshot& vm) {
  const std::string name = vm.definition->name();
  return Error(absl::StatusCode::kAlreadyExists, "VM_EXISTS",
               vm.status.state == VmState::kDeleting
                   ? absl::StrCat(name, " is being deleted; try again when that is done")
                   : absl::StrCat(name, " exists; delete it first, or choose another id"))
      .With("vm", name)
      .Resource(kVmType, name);
}

absl::Status UidMismatch(const VmDefinition& vm, const std::string& wanted) {
  return Error(absl::StatusCode::kAborted, "UID_MISMATCH",
               absl::StrCat(vm.name(), " has uid ", vm.uid, ", not ", Quoted(wanted),
                            "; it is another VM of the same name"))
      .With("current", vm.uid)
      .Resource(kVmType, vm.name());
}

absl::Status EtagMismatch(const VmDefinition& vm, const std::string& wanted) {
  return Error(absl::StatusCode::kAborted, "ETAG_MISMATCH",
               absl::StrCat(vm.name(), " has etag ", vm.etag(), ", not ", Quoted(wanted),
                            "; it changed since it was read: read it again"))
      .With("current", vm.etag())
      .Resource(kVmType, vm.name());
}

absl::Status VmAttached(const VmDefinition& vm, pid_t vmm) {
  const std::string pid = std::to_string(vmm);
  return Error(absl::StatusCode::kFailedPrecondition, "VM_ATTACHED",
               absl::StrCat(vm.name(), " is in use by the VMM with pid ", pid, "; stop it first, or delete with force"))
      .With("pid", pid)
      .Resource(kVmType, vm.name())
      .Precondition("VM_ATTACHED", vm.name(), absl::StrCat("stop the VMM with pid ", pid, ", or set force"));
}

absl::Status ShuttingDown() {
  return Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN", "the daemon is stopping; try again when it is back")
      .RetryAfter(std::chrono::seconds(1));
}

}  // namespace kinsock
