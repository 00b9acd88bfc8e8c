// SPDX-License-Identifier: Apache-2.0
#include "server/service/lifecycle_events.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

v1::Event About(const VmSnapshot& vm, const char* reason, std::string message) {
  v1::Event event;
  event.set_type(v1::Event::LIFECYCLE);
  event.set_severity(v1::Event::INFO);
  event.set_object(vm.definition->name());
  event.set_reason(reason);
  event.set_message(std::move(message));
  (*event.mutable_fields())["uid"] = vm.definition->uid;
  (*event.mutable_fields())["cid"] = absl::StrCat(vm.status.cid);
  return event;
}

}  // namespace

void LifecycleEvents::On(const VmEvent& change) {
  const VmSnapshot& vm = *change.vm;
  const std::string name = vm.definition->name();
  if (change.type == VmEvent::Type::kDeleted) {
    known_.erase(vm.definition->uid);
    return log_.Add(About(vm, "VM_DELETED", absl::StrCat(name, " is gone")));
  }
  Known& known = known_[vm.definition->uid];
  if (known.generation == 0) {
    log_.Add(About(vm, "VM_CREATED", absl::StrCat(name, " was made, with CID ", vm.status.cid)));
  } else if (known.cid != vm.status.cid) {
    v1::Event event = About(vm, "VM_CID_CHANGED", absl::StrCat(name, " has CID ", vm.status.cid, ", had ", known.cid));
    (*event.mutable_fields())["generation"] = absl::StrCat(vm.definition->generation);
    (*event.mutable_fields())["former_cid"] = absl::StrCat(known.cid);
    log_.Add(std::move(event));
  } else if (known.generation != vm.definition->generation) {
    v1::Event event = About(vm, "VM_UPDATED", absl::StrCat(name, " was changed"));
    (*event.mutable_fields())["generation"] = absl::StrCat(vm.definition->generation);
    log_.Add(std::move(event));
  }
  known.generation = vm.definition->generation;
  known.cid = vm.status.cid;
  const VmState before = std::exchange(known.state, vm.status.state);
  if (before == vm.status.state || before == VmState::kUnspecified) return;
  if (!known.allowance.Take(clock_.Now())) return;
  v1::Event event =
      About(vm, "VM_STATE", absl::StrCat(name, " is ", VmStateName(vm.status.state), ", was ", VmStateName(before)));
  (*event.mutable_fields())["from"] = VmStateName(before);
  (*event.mutable_fields())["to"] = VmStateName(vm.status.state);
  if (const uint64_t more = known.allowance.TakeSuppressed(); more > 0) {
    (*event.mutable_fields())["suppressed"] = absl::StrCat(more);
  }
  log_.Add(std::move(event));
}

}  // namespace kinsock
