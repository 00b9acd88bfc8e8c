// SPDX-License-Identifier: Apache-2.0
//
// VmManager: VMs that an earlier start of the daemon has left.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/log.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_lifecycle.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_sockets.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// What was asked for when it was made, to be checked against what there is now.
VmCreation CreationOf(const VmDefinition& definition) {
  VmCreation creation;
  creation.id = definition.id;
  creation.labels = definition.labels;
  creation.annotations = definition.annotations;
  creation.spec = definition.spec;
  return creation;
}

}  // namespace

void VmManager::Restore(SavedState saved, const std::set<std::pair<std::string, Cid>>& promised) {
  loop_.thread().AssertHeld();
  for (SavedVm& vm : saved.vms) {
    const VmSocketPaths paths = VmSocketPaths::Resolve(CreationOf(*vm.definition), vms_dir_);
    VmStatus status;
    status.cid = vm.cid;
    status.former_cid = vm.former_cid;
    status.vhost_user_socket = paths.vhost_user;
    status.uds_path = paths.uds;
    networks_.ClaimRestored(vm, promised);
    Vm& added = AddVm(std::move(vm.definition), std::move(status));
    added.saved = true;
    restored_.push_back(added.device);
  }
  restored_requests_ = std::move(saved.requests);
}

// What is left of an answer after a restart: the VM as it is now, or, when it is no more, which it was.
VmSnapshotPtr VmManager::ResultOf(const AnsweredRequest& request) const {
  const auto found = vms_.find(request.vm_id);
  if (found != vms_.end() && found->second->now->definition->uid == request.uid) return found->second->now;
  auto definition = std::make_shared<VmDefinition>();
  definition->id = request.vm_id;
  definition->uid = request.uid;
  auto gone = std::make_shared<VmSnapshot>();
  gone->definition = std::move(definition);
  gone->status.cid = request.cid;
  BeginProvisioning(gone->status, WallTime());
  BeginDeleting(gone->status, WallTime());
  return gone;
}

void VmManager::ServeRestored(absl::FunctionRef<bool()> give_up, EventLoop::Task done) {
  loop_.thread().AssertHeld();
  when_restored_ = std::move(done);
  restoring_ = restored_.size() + 1;  // one for this loop
  for (const DeviceId device : std::exchange(restored_, {})) {
    if (give_up()) return;
    const absl::Status started = ServeAgain(*Find(device));
    if (!started.ok()) OnServedAgain(device, started);
  }
  EndOneRestoration();
}

void VmManager::EndOneRestoration() {
  if (--restoring_ > 0) return;
  const WallTime now = std::chrono::system_clock::now();
  for (const AnsweredRequest& request : std::exchange(restored_requests_, {})) {
    if (request.forget_at <= now) continue;
    requests_.Remember(request.id, request.hash, ResultOf(request), request.forget_at - now);
  }
  std::exchange(when_restored_, nullptr)();
}

// OK: OnServedAgain() will be called.
absl::Status VmManager::ServeAgain(Vm& vm) {
  const VmDefinition& definition = *vm.now->definition;
  if (!vm.in_network) {
    return absl::NotFoundError(
        absl::StrCat("there is no networks/", vm.network(), "; put it into the configuration again, or delete the VM"));
  }
  if (!networks_.CidsOf(vm.network()).Claim(vm.now->status.cid, definition.name())) {
    return absl::AlreadyExistsError(absl::StrCat("the configuration gives CID ", vm.now->status.cid,
                                                 " to another VM; give that one another, and start again"));
  }
  const VmCreation creation = CreationOf(definition);
  VmSocketPaths paths = VmSocketPaths::Resolve(creation, vms_dir_);
  paths.within = &socket_dirs_;
  std::vector<FieldViolation> violations = CheckVm(creation);
  const absl::Status busy = paths.Check(sockets_, violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  KINSOCK_RETURN_IF_ERROR(busy);
  KINSOCK_ASSIGN_OR_RETURN(VmSockets sockets, VmSockets::Make(paths, definition.name(), sockets_));
  vm.sockets.emplace(std::move(sockets));
  AddDevice(vm, [this, device = vm.device](absl::Status served) { OnServedAgain(device, std::move(served)); });
  return absl::OkStatus();
}

// A VM is never lost because it cannot be served at the moment: it keeps its name and its CID, and says why.
void VmManager::OnServedAgain(DeviceId device, absl::Status status) {
  Vm* vm = Find(device);
  if (vm == nullptr) return;
  vm->served = true;
  if (status.ok()) {
    PublishStatus(*vm);
    ArmOrphan(*vm);
  } else {
    vm->sockets.reset();
    VmStatus failed = vm->now->status;
    BeginFailed(failed, std::string(status.message()), std::chrono::system_clock::now());
    Publish(*vm, VmEvent::Type::kModified, std::move(failed));
    Log(LogLevel::kError, "vm.not_restored")
        .With("vm", vm->now->definition->name())
        .With("cid", vm->now->status.cid)
        .With("reason", status.message());
  }
  EndOneRestoration();
}

}  // namespace kinsock
