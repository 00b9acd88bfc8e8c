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

LifecycleEvents::~LifecycleEvents() {
  for (const auto& [uid, known] : known_) {
    if (known.timer.has_value()) main_.Cancel(*known.timer);
  }
}

void LifecycleEvents::On(const VmEvent& change) {
  const VmSnapshot& vm = *change.vm;
  const std::string& uid = vm.definition->uid;
  if (change.type == VmEvent::Type::kDeleted) {
    Forget(uid);
    return log_.Add(About(vm, "VM_DELETED", absl::StrCat(vm.definition->name(), " is gone")));
  }
  Known& known = known_[uid];
  const VmSnapshotPtr before = std::exchange(known.vm, change.vm);
  TellDefinition(vm, before.get());
  if (before == nullptr || before->status.state == vm.status.state) return;
  known.before = before->status.state;
  ++known.untold;
  TellState(uid, known);
}

// `before`: null: it is new.
void LifecycleEvents::TellDefinition(const VmSnapshot& vm, const VmSnapshot* before) {
  const std::string name = vm.definition->name();
  const Cid cid = vm.status.cid;
  if (before == nullptr) {
    return log_.Add(About(vm, "VM_CREATED", absl::StrCat(name, " was made, with CID ", cid)));
  }
  const bool other_cid = before->status.cid != cid;
  if (!other_cid && before->definition->generation == vm.definition->generation) return;
  v1::Event event =
      other_cid ? About(vm, "VM_CID_CHANGED", absl::StrCat(name, " has CID ", cid, ", had ", before->status.cid))
                : About(vm, "VM_UPDATED", absl::StrCat(name, " was changed"));
  (*event.mutable_fields())["generation"] = absl::StrCat(vm.definition->generation);
  if (other_cid) (*event.mutable_fields())["former_cid"] = absl::StrCat(before->status.cid);
  log_.Add(std::move(event));
}

// The states that came and went between two events are counted in the later one, and one comes after the last of them.
void LifecycleEvents::TellState(const std::string& uid, Known& known) {
  if (known.timer.has_value()) return;
  if (!known.allowance.Take(main_.clock().Now())) {
    // The timer goes with the VM.
    known.timer = main_.RunAfter(kPerEvent, [this, uid] {
      Known& late = known_.at(uid);
      late.timer.reset();
      TellState(uid, late);
    });
    return;
  }
  const VmSnapshot& vm = *known.vm;
  const char* const from = VmStateName(known.before);
  const char* const to = VmStateName(vm.status.state);
  v1::Event event = About(vm, "VM_STATE", absl::StrCat(vm.definition->name(), " is ", to, ", was ", from));
  (*event.mutable_fields())["from"] = from;
  (*event.mutable_fields())["to"] = to;
  if (const uint64_t more = std::exchange(known.untold, 0) - 1; more > 0) {
    (*event.mutable_fields())["suppressed"] = absl::StrCat(more);
  }
  log_.Add(std::move(event));
}

void LifecycleEvents::Forget(const std::string& uid) {
  const auto known = known_.find(uid);
  if (known == known_.end()) return;
  if (known->second.timer.has_value()) main_.Cancel(*known->second.timer);
  known_.erase(known);
}

}  // namespace kinsock
