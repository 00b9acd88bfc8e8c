// SPDX-License-Identifier: Apache-2.0
//
// VmManager: VMs that get another CID while they exist.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "device/vsock_device.h"
#include "server/host/log.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_lifecycle.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_refusals.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status CheckReservation(const VmDefinition& vm, const CidRequest& wanted) {
  const std::string network = NetworkOf(vm.spec);
  if (wanted.kind != CidRequest::Kind::kReserved || wanted.network == network) return absl::OkStatus();
  return FieldsInvalid(
      "vm " + Quoted(vm.id),
      {{"new_cid.reservation", absl::StrCat("is in the network ", Quoted(wanted.network), ", and the VM in ",
                                            Quoted(network), "; they must be the same")}});
}

std::shared_ptr<const VmDefinition> WithCid(const VmDefinition& vm, const CidRequest& wanted) {
  auto changed = std::make_shared<VmDefinition>(vm);
  changed->spec.cid = wanted;
  ++changed->generation;
  return changed;
}

// Where a restart finds the guest, if that does not learn of the CID which the VM has instead: what it goes by now.
Cid FormerCid(const VmStatus& status, Cid driver_cid) {
  if (driver_cid != 0) return driver_cid;
  return status.former_cid != 0 ? status.former_cid : status.cid;
}

}  // namespace

void VmManager::Reset(VmReset reset, Done done) {
  if (!reset.new_cid.has_value()) return Drain(std::move(reset.drain), std::move(done));
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  const VmDrain& request = reset.drain;
  if (!request.validate_only) done = gate_.Enter(request.request_id, request.request_hash, std::move(done));
  if (done) ResetOnce(std::move(reset), std::move(done));
}

void VmManager::ResetOnce(VmReset reset, Done done) {
  const VmDrain& request = reset.drain;
  const auto found = vms_.find(request.id);
  if (found == vms_.end()) return done(VmNotFound(request.id));
  Vm& vm = *found->second;
  if (!vm.settled()) {
    vm.when_made.push_back([this, reset = std::move(reset), done = std::move(done)]() mutable {
      ResetOnce(std::move(reset), std::move(done));
    });
    return;
  }
  const VmDefinition& current = *vm.now->definition;
  if (vm.doomed()) return done(VmIsBeingDeleted(current));
  if (!request.etag.empty() && request.etag != current.etag()) return done(EtagMismatch(current, request.etag));
  if (vm.failed()) return done(VmIsFailed(current));
  const CidRequest& wanted = *reset.new_cid;
  if (absl::Status fault = CheckReservation(current, wanted); !fault.ok()) return done(std::move(fault));
  const Cid before = vm.now->status.cid;
  const std::string name = current.name();
  CidAllocator& cids = networks_.CidsOf(vm.network());
  // Who asks for the number that the VM has may have lost the answer: that it has it is what he wants.
  const bool stays = wanted.kind == CidRequest::Kind::kFixed && wanted.first == before;
  absl::StatusOr<Cid> cid = before;
  if (!stays) cid = request.validate_only ? cids.Peek(wanted, name) : cids.Allocate(wanted, name);
  if (!cid.ok()) return done(cid.status());

  std::shared_ptr<const VmDefinition> next = vm.now->definition;
  if (!stays || wanted != current.spec.cid) next = WithCid(current, wanted);
  if (request.validate_only) {
    auto would_be = std::make_shared<VmSnapshot>(*vm.now);
    would_be->definition = std::move(next);
    would_be->status.cid = *cid;
    return done(VmSnapshotPtr(std::move(would_be)));
  }

  const VmStatus& status = vm.now->status;
  const Cid former = stays ? status.former_cid : FormerCid(status, vm.device_status.driver_cid);
  JournalEntry entry;
  if (next != vm.now->definition && vm.saved) entry.put = SavedVm{next, *cid, former};
  if (!stays) {
    entry.cursors = {vm.network(), cids.cursors()};
    if (cids.IsHeld(before, name)) {
      entry.rest = RestingCid{vm.network(), before, name, std::chrono::system_clock::now() + cids.rest()};
    }
  }
  NoteRequest(vm, request.request_id, request.request_hash, entry.requests);
  for (AnsweredRequest& answered : entry.requests) answered.cid = *cid;
  Record(vm, std::move(entry),
         [this, next = std::move(next), cid = *cid, former, done = std::move(done)](
             Vm& reset_vm, const absl::Status& written) mutable {
           const Cid had = reset_vm.now->status.cid;
           if (written.ok()) return Move(reset_vm, std::move(next), cid, former, std::move(done));
           const std::string holder = reset_vm.now->definition->name();
           if (cid != had) networks_.CidsOf(reset_vm.network()).Undo(cid, holder, had);
           done(written);
         });
}

// The journal knows: now the reactors are told. What comes for the VM meanwhile waits.
void VmManager::Move(Vm& vm, std::shared_ptr<const VmDefinition> next, Cid cid, Cid former, Done done) {
  vm.moving = true;
  const DeviceId device = vm.device;
  const bool stays = cid == vm.now->status.cid;
  auto moved = [this, device, next = std::move(next), cid, former, done = std::move(done)]() mutable {
    Vm& reset_vm = *Find(device);  // it is not deleted meanwhile
    OnMoved(reset_vm, std::move(next), cid, former);
    done(reset_vm.now);
    RunWaiting(device);
  };
  if (!stays) return pool_.ChangeCid(device, cid, std::move(moved));
  pool_.Tell(
      device, [](VsockDevice& told) { told.ResetTransport(); }, std::move(moved));
}

void VmManager::OnMoved(Vm& vm, std::shared_ptr<const VmDefinition> next, Cid cid, Cid former) {
  vm.moving = false;
  VmStatus status = vm.now->status;
  const Cid before = std::exchange(status.cid, cid);
  status.former_cid = former;
  const std::string name = next->name();
  // Nobody names it any more: from now on it rests.
  if (before != cid) networks_.CidsOf(vm.network()).Release(before, name);
  // An earlier change may still be on its way to the reactors.
  if (vm.changes_under_way == 0) status.observed_generation = next->generation;
  ApplyDeviceStatus(status, vm.device_status, std::chrono::system_clock::now(), vm.troubles);
  if (vm.held_back.has_value()) loop_.Cancel(*vm.held_back);
  vm.held_back.reset();
  Publish(vm, VmEvent::Type::kModified, std::move(next), std::move(status));
  TellState(vm);
  Log(LogLevel::kInfo, "vm.reset").With("vm", name).With("cid", cid).With("former_cid", before);
}

}  // namespace kinsock
