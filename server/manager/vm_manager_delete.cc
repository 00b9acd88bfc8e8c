// SPDX-License-Identifier: Apache-2.0
//
// VmManager: how a VM goes, on demand.
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/manager/managed_vm.h"
#include "server/manager/vm_lifecycle.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_refusals.h"

namespace kinsock {

void VmManager::Delete(VmDeletion deletion, Done done) {
  loop_.thread().AssertHeld();
  if (!deletion.validate_only) done = gate_.Enter(deletion.request_id, deletion.request_hash, std::move(done));
  if (done) DeleteOnce(std::move(deletion), std::move(done));
}

void VmManager::DeleteOnce(VmDeletion deletion, Done done) {
  if (closed_) return done(ShuttingDown());
  const auto found = vms_.find(deletion.id);
  if (found == vms_.end()) {
    if (deletion.allow_missing) return done(VmSnapshotPtr());
    return done(VmNotFound(deletion.id));
  }
  Vm& vm = *found->second;
  if (vm.served && (vm.writing || vm.moving) && vm.deleters.empty()) {
    // It becomes another at this moment, with another etag.
    vm.when_made.push_back([this, deletion = std::move(deletion), done = std::move(done)]() mutable {
      DeleteOnce(std::move(deletion), std::move(done));
    });
    return;
  }
  if (absl::Status fault = CheckDeletion(deletion, vm); !fault.ok()) return done(std::move(fault));
  if (deletion.validate_only) return done(vm.now);
  NoteRequest(vm, deletion.request_id, deletion.request_hash, vm.deleted_for);
  vm.deleters.push_back(std::move(done));
  vm.keep_cid = vm.keep_cid || deletion.keep_cid;
  // While it is being made, its removal waits for that; while it is being removed, there is nothing to add.
  if (!vm.settled() || vm.deleting()) return;
  if (deletion.drain_timeout.count() > 0 && !vm.failed()) return DrainToDelete(vm, deletion.drain_timeout);
  RecordDeletion(vm);
}

// First the journal: a VM that it does not let go stays as it is.
void VmManager::RecordDeletion(Vm& vm) {
  vm.letting_go = true;
  SetDrainDeadline(vm, std::nullopt, nullptr);
  ArmOrphan(vm);  // no more
  const VmDefinition& definition = *vm.now->definition;
  JournalEntry entry;
  if (vm.saved) entry.erase_uid = definition.uid;
  entry.erase_forwards_of = definition.id;
  entry.requests = std::exchange(vm.deleted_for, {});
  const CidAllocator& cids = networks_.CidsOf(vm.network());
  if (cids.IsHeld(vm.now->status.cid, definition.name())) {
    const auto until = [](std::chrono::milliseconds time) { return std::chrono::system_clock::now() + time; };
    const std::string name = definition.name();
    if (vm.keep_cid) {
      entry.reserve = ReservedCid{vm.network(), vm.now->status.cid, name, until(VmDeletion::kKeepCid), true};
    } else {
      entry.rest = RestingCid{vm.network(), vm.now->status.cid, name, until(cids.rest())};
    }
  }
  Record(vm, std::move(entry), [this](Vm& gone, const absl::Status& written) {
    if (written.ok()) return StartDeleting(gone, absl::OkStatus());
    gone.letting_go = false;
    gone.keep_cid = false;
    std::vector<Done> deleters = std::exchange(gone.deleters, {});
    gone.alone_since.reset();  // an orphan gets its time once more
    ArmOrphan(gone);
    for (Done& done : deleters) done(written);
  });
}

absl::Status VmManager::CheckDeletion(const VmDeletion& deletion, const Vm& vm) const {
  const VmDefinition& definition = *vm.now->definition;
  if (definition.configured && !deletion.configured) return VmManagedByFile(definition);
  if (!deletion.uid.empty() && deletion.uid != definition.uid) return UidMismatch(definition, deletion.uid);
  if (!deletion.etag.empty() && deletion.etag != definition.etag()) return EtagMismatch(definition, deletion.etag);
  // As the device says now: what was published may be a second old.
  const bool attached = vm.device_status.state != DeviceState::kListening;
  if (attached && !deletion.force && !vm.deleting()) {
    return VmAttached(definition, vm.device_status.front_end.pid);
  }
  return absl::OkStatus();
}

// `reason`: why it could not be made; OK when it was to be deleted.
void VmManager::StartDeleting(Vm& vm, absl::Status reason) {
  const bool has_device = vm.sockets.has_value();
  if (has_device) vm.sockets->RemoveFiles();
  VmStatus status = vm.now->status;
  BeginDeleting(status, std::chrono::system_clock::now());
  Publish(vm, VmEvent::Type::kModified, std::move(status));
  if (departure_.begins) departure_.begins(vm.now->definition->id);
  if (!has_device) return OnRemoved(vm.device, reason);
  pool_.RemoveDevice(vm.device,
                     [this, device = vm.device, reason = std::move(reason)]() mutable { OnRemoved(device, reason); });
}

}  // namespace kinsock
