// SPDX-License-Identifier: Apache-2.0
//
// VmManager: VMs that exist and become other than they were.
#include <utility>

#include "base/text.h"
#include "device/vsock_device.h"
#include "server/host/log.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_change.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_refusals.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {

void VmManager::Update(VmUpdate update, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!update.validate_only) done = gate_.Enter(update.request_id, update.request_hash, std::move(done));
  if (done) UpdateOnce(std::move(update), std::move(done));
}

void VmManager::UpdateOnce(VmUpdate update, Done done) {
  const auto found = vms_.find(update.id);
  if (found == vms_.end()) return done(VmNotFound(update.id));
  Vm& vm = *found->second;
  if (!vm.settled()) {
    vm.when_made.push_back([this, update = std::move(update), done = std::move(done)]() mutable {
      UpdateOnce(std::move(update), std::move(done));
    });
    return;
  }
  const VmDefinition& current = *vm.now->definition;
  if (vm.doomed()) return done(VmIsBeingDeleted(current));
  if (!update.etag.empty() && update.etag != current.etag()) return done(EtagMismatch(current, update.etag));
  const VmSocketPaths paths = VmSocketPaths::Resolve({.id = update.id, .spec = update.also}, vms_dir_);
  const std::vector<FieldViolation> differences =
      ImmutableDifferences(*vm.now, update.also, paths, Compare::kWhereSaid);
  if (!differences.empty()) return done(FieldsInvalid("vm " + Quoted(update.id), differences));
  absl::StatusOr<std::shared_ptr<const VmDefinition>> next = Change(vm.now->definition, update);
  if (!next.ok()) return done(next.status());
  if (current.configured && *next != vm.now->definition) return done(VmManagedByFile(current));
  Commit(vm, *std::move(next), RequestOf(update), std::move(done));
}

void VmManager::Apply(VmApplication application, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  const VmCreation& vm = application.vm;
  if (!vm.validate_only) done = gate_.Enter(vm.request_id, vm.request_hash, std::move(done));
  if (done) ApplyOnce(std::move(application), std::move(done));
}

void VmManager::ApplyOnce(VmApplication application, Done done) {
  VmCreation& wanted = application.vm;
  const auto found = vms_.find(wanted.id);
  if (found == vms_.end()) {
    if (!application.etag.empty()) return done(VmNotFound(wanted.id));
    return CreateOnce(std::move(wanted), std::move(done));
  }
  Vm& vm = *found->second;
  if (!vm.settled()) {
    vm.when_made.push_back([this, application = std::move(application), done = std::move(done)]() mutable {
      ApplyOnce(std::move(application), std::move(done));
    });
    return;
  }
  const VmDefinition& current = *vm.now->definition;
  const std::vector<FieldViolation> violations = CheckVm(wanted);
  if (!violations.empty()) return done(FieldsInvalid("vm " + Quoted(wanted.id), violations));
  if (vm.doomed()) return done(VmIsBeingDeleted(current));
  if (wanted.configured && !current.configured) return done(VmExists(*vm.now));
  if (!application.etag.empty() && application.etag != current.etag()) {
    return done(EtagMismatch(current, application.etag));
  }
  const VmSocketPaths paths = VmSocketPaths::Resolve(wanted, vms_dir_);
  const std::vector<FieldViolation> differences = ImmutableDifferences(*vm.now, wanted.spec, paths, Compare::kAll);
  if (!differences.empty()) return done(ImmutableFields(current, differences));
  absl::StatusOr<std::shared_ptr<const VmDefinition>> next = Change(vm.now->definition, UpdateTo(wanted));
  if (!next.ok()) return done(next.status());
  if (!wanted.configured && !application.force_conflicts && *next != vm.now->definition && current.configured) {
    return done(VmManagedByFile(current));
  }
  Commit(vm, *std::move(next), RequestOf(wanted), std::move(done));
}

// `next` is what the VM is once the journal knows it; `done` when every reactor goes by it.
void VmManager::Commit(Vm& vm, std::shared_ptr<const VmDefinition> next, const ChangeRequest& request, Done done) {
  if (request.validate_only) {
    auto would_be = std::make_shared<VmSnapshot>(*vm.now);
    would_be->definition = std::move(next);
    return done(VmSnapshotPtr(std::move(would_be)));
  }
  JournalEntry entry;
  NoteRequest(vm, request.id, request.hash, entry.requests);
  const bool same = next == vm.now->definition;
  if (same && entry.empty()) return done(vm.now);
  if (vm.saved && !same) entry.put = SavedVm{next, vm.now->status.cid, vm.now->status.former_cid};
  Record(vm, std::move(entry),
         [this, next = std::move(next), done = std::move(done)](Vm& changed, const absl::Status& written) mutable {
           if (!written.ok()) return done(written);
           if (next == changed.now->definition) return done(changed.now);
           Become(changed, std::move(next), std::move(done));
         });
}

void VmManager::Become(Vm& vm, std::shared_ptr<const VmDefinition> next, Done done) {
  std::vector<std::string> groups = EffectiveGroups(next->spec);
  const VmDefinition& current = *vm.now->definition;
  // What policies go by.
  const bool other_identity = groups != EffectiveGroups(current.spec) || next->labels != current.labels;
  const bool other_device = next->spec.quota != current.spec.quota || next->spec.readiness != current.spec.readiness;
  auto change_device = [limits = LimitsOf(next->spec), readiness = next->spec.readiness](VsockDevice& device) {
    device.SetLimits(limits);
    device.SetReadiness(readiness);
  };
  const int64_t generation = next->generation;
  Log(LogLevel::kInfo, "vm.updated").With("vm", next->name()).With("generation", generation);
  VmStatus status = vm.now->status;
  if ((!other_identity && !other_device) || vm.failed()) {
    // An earlier change may still be on its way to the reactors.
    if (vm.changes_under_way == 0) status.observed_generation = generation;
    Publish(vm, VmEvent::Type::kModified, std::move(next), std::move(status));
    ArmOrphan(vm);
    return done(vm.now);
  }
  ++vm.changes_under_way;
  std::map<std::string, std::string> labels = next->labels;
  Publish(vm, VmEvent::Type::kModified, std::move(next), std::move(status));
  ArmOrphan(vm);
  auto observed = [this, device = vm.device, id = vm.now->definition->id, done = std::move(done)]() mutable {
    Vm* changed = Find(device);
    if (changed == nullptr) return done(VmNotFound(id));
    OnObserved(*changed);
    done(changed->now);
  };
  if (!other_identity) return pool_.Tell(vm.device, std::move(change_device), std::move(observed));
  if (!other_device) return pool_.SetIdentity(vm.device, std::move(groups), std::move(labels), std::move(observed));
  pool_.SetIdentity(vm.device, std::move(groups), std::move(labels),
                    [this, device = vm.device, change_device, observed = std::move(observed)]() mutable {
                      pool_.Tell(device, std::move(change_device), std::move(observed));
                    });
}

DeviceLimits VmManager::LimitsOf(const VmSpec& spec) const {
  const Quota of_network = networks_.QuotaOf(NetworkOf(spec));
  return ResolveLimits({&spec.quota, &of_network, &quota_});
}

void VmManager::ChangeLimitOfVms(const Quota& quota, EventLoop::Task done) {
  quota_ = quota;
  TellLimits([](const Vm&) { return true; }, std::move(done));
}

void VmManager::OnNetworkQuota(const std::string& network, EventLoop::Task done) {
  TellLimits([&network](const Vm& vm) { return vm.network() == network; }, std::move(done));
}

// The VMs' specs stay what they are: only what follows from them is another. One without a device will be made with it.
void VmManager::TellLimits(absl::FunctionRef<bool(const Vm&)> concerns, EventLoop::Task done) {
  // Whoever has it last ends it: each device that is told, and this loop.
  auto all = std::make_shared<EventLoop::Task>(std::move(done));
  const auto release = [](std::shared_ptr<EventLoop::Task>& mine) {
    if (mine.use_count() == 1) (*mine)();
    mine.reset();
  };
  for (const auto& [id, vm] : vms_) {
    if (!concerns(*vm) || !vm->sockets.has_value() || vm->deleting()) continue;
    pool_.Tell(
        vm->device, [limits = LimitsOf(vm->now->definition->spec)](VsockDevice& device) { device.SetLimits(limits); },
        [release, mine = all]() mutable { release(mine); });
  }
  release(all);
}

// A change has reached all reactors.
void VmManager::OnObserved(Vm& vm) {
  PublishHeldBack(vm);
  if (--vm.changes_under_way > 0 || vm.deleting()) return;
  VmStatus status = vm.now->status;
  status.observed_generation = vm.now->definition->generation;
  Publish(vm, VmEvent::Type::kModified, std::move(status));
}

}  // namespace kinsock
