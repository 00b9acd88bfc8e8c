// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_refusals.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr char kVmType[] = "kinsock.v1.Vm";

}  // namespace

absl::Status VmIsBeingMade(const std::string& id) {
  return Error(absl::StatusCode::kAborted, "CONCURRENT_CHANGE",
               absl::StrCat("vms/", id, " is being made at this moment; try again"))
      .RetryAfter(std::chrono::milliseconds(10));
}

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

absl::Status VmIsBeingDeleted(const VmDefinition& vm) {
  return Error(absl::StatusCode::kFailedPrecondition, "VM_DELETING",
               absl::StrCat(vm.name(), " is being deleted; try again when that is done"))
      .Resource(kVmType, vm.name())
      .RetryAfter(std::chrono::seconds(1));
}

absl::Status VmManagedByFile(const VmDefinition& vm) {
  constexpr char kWhatToDo[] = "change it there, and have the daemon read it again (kinsockctl daemon reload)";
  return Error(absl::StatusCode::kFailedPrecondition, "MANAGED_BY_FILE",
               absl::StrCat(vm.name(), " is said by the configuration file or the command line; ", kWhatToDo))
      .Resource(kVmType, vm.name())
      .Precondition("MANAGED_BY_FILE", vm.name(), kWhatToDo);
}

absl::Status VmIsFailed(const VmDefinition& vm) {
  return Error(absl::StatusCode::kFailedPrecondition, "VM_FAILED",
               absl::StrCat(vm.name(),
                            " is FAILED and has no device; its conditions say why. Restart the daemon when that is put "
                            "right, or delete the VM"))
      .Resource(kVmType, vm.name());
}

absl::Status ImmutableFields(const VmDefinition& vm, const std::vector<FieldViolation>& fields) {
  const auto name = [](const FieldViolation& field) { return std::string(absl::StripPrefix(field.field, "vm.")); };
  const std::string text = absl::StrJoin(fields, "; ", [&](std::string* out, const FieldViolation& field) {
    absl::StrAppend(out, name(field), " ", field.description);
  });
  Error error(absl::StatusCode::kFailedPrecondition, "IMMUTABLE_FIELD",
              absl::StrCat(vm.name(), ": ", text, "; delete the VM first to make it anew"));
  error.Resource(kVmType, vm.name());
  std::vector<std::string> names;
  for (const FieldViolation& field : fields) {
    names.push_back(name(field));
    error.Precondition("IMMUTABLE_FIELD", name(field), field.description);
  }
  return error.With("fields", absl::StrJoin(names, ","));
}

absl::Status VmAttached(const VmDefinition& vm, pid_t vmm) {
  const std::string pid = std::to_string(vmm);
  return Error(absl::StatusCode::kFailedPrecondition, "VM_ATTACHED",
               absl::StrCat(vm.name(), " is in use by the VMM with pid ", pid, "; stop it first, or delete with force"))
      .With("pid", pid)
      .Resource(kVmType, vm.name())
      .Precondition("VM_ATTACHED", vm.name(), absl::StrCat("stop the VMM with pid ", pid, ", or set force"));
}

absl::Status NodeDraining() {
  return Error(absl::StatusCode::kUnavailable, "DRAINING",
               "the node is draining: it makes no VMs; use another one, or end the drain")
      .RetryAfter(std::chrono::seconds(30));
}

absl::Status ShuttingDown() {
  return Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN", "the daemon is stopping; try again when it is back")
      .RetryAfter(std::chrono::seconds(1));
}

}  // namespace kinsock
