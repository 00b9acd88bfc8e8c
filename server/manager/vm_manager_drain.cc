// SPDX-License-Identifier: Apache-2.0
//
// VmManager: VMs that begin no connections any more, for a while or before they are deleted; VMs that are left alone.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "device/vsock_device.h"
#include "server/host/log.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_refusals.h"

namespace kinsock {
namespace {

const char* NameOf(VmDrain::Action action) {
  switch (action) {
    case VmDrain::Action::kDrain:
      return "vm.drain";
    case VmDrain::Action::kResume:
      return "vm.resume";
    case VmDrain::Action::kReset:
      return "vm.reset";
  }
  return "";
}

// On the device's reactor.
void Act(VmDrain::Action action, VsockDevice& device) {
  switch (action) {
    case VmDrain::Action::kDrain:
      return device.Drain();
    case VmDrain::Action::kResume:
      return device.EndDrain();
    case VmDrain::Action::kReset:
      return device.ResetTransport();
  }
}

}  // namespace

void VmManager::Drain(VmDrain drain, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!drain.validate_only) done = gate_.Enter(drain.request_id, drain.request_hash, std::move(done));
  if (done) DrainOnce(std::move(drain), std::move(done));
}

void VmManager::DrainOnce(VmDrain drain, Done done) {
  const auto found = vms_.find(drain.id);
  if (found == vms_.end()) return done(VmNotFound(drain.id));
  Vm& vm = *found->second;
  if (!vm.settled()) {
    vm.when_made.push_back([this, drain = std::move(drain), done = std::move(done)]() mutable {
      DrainOnce(std::move(drain), std::move(done));
    });
    return;
  }
  const VmDefinition& definition = *vm.now->definition;
  if (vm.doomed()) return done(VmIsBeingDeleted(definition));
  if (!drain.etag.empty() && drain.etag != definition.etag()) return done(EtagMismatch(definition, drain.etag));
  if (vm.failed()) return done(VmIsFailed(definition));
  if (drain.validate_only) return done(vm.now);
  if (drain.action != VmDrain::Action::kReset) {
    SetDrainDeadline(vm, drain.reset_after, [this, device = vm.device] { ResetRest(device); });
  }
  Log(LogLevel::kInfo, NameOf(drain.action)).With("vm", definition.name());
  pool_.Tell(
      vm.device, [action = drain.action](VsockDevice& device) { Act(action, device); },
      [this, device = vm.device, id = drain.id, done = std::move(done)]() mutable {
        Vm* told = Find(device);
        if (told == nullptr) return done(VmNotFound(id));
        PublishHeldBack(*told);
        done(told->now);
      });
}

void VmManager::SetDrainDeadline(Vm& vm, std::optional<std::chrono::milliseconds> deadline, EventLoop::Task task) {
  if (vm.drain_deadline.has_value()) loop_.Cancel(*vm.drain_deadline);
  vm.drain_deadline.reset();
  if (!deadline.has_value()) return;
  // The VM outlives the timer, which goes with it.
  vm.drain_deadline = loop_.RunAfter(*deadline, [&vm, task = std::move(task)]() mutable {
    vm.drain_deadline.reset();
    task();
  });
}

void VmManager::ResetRest(DeviceId device) {
  Log(LogLevel::kInfo, "vm.drain_deadline").With("vm", Find(device)->now->definition->name());
  pool_.Tell(
      device, [](VsockDevice& told) { told.ResetFlows(CloseReason::kDrain); }, [] {});
}

// A deletion that begins with a drain.
void VmManager::DrainToDelete(Vm& vm, std::chrono::milliseconds timeout) {
  SetDrainDeadline(vm, timeout, [this, device = vm.device] { RecordDeletion(*Find(device)); });
  pool_.Tell(
      vm.device, [](VsockDevice& device) { device.Drain(); },
      [this, device = vm.device] {
        // It may have been drained before, which is not reported again.
        Vm* told = Find(device);
        if (told != nullptr) DeleteIfDrained(*told);
      });
}

void VmManager::DeleteIfDrained(Vm& vm) {
  const bool waits = vm.settled() && !vm.deleters.empty() && !vm.deleting();
  if (waits && vm.device_status.drain == DrainState::kDrained) RecordDeletion(vm);
}

// Connections last as long as guests like, and the daemon's stop waits for every call: whoever asked for a deletion
// that waits for them is told to ask again. What else is under way ends by itself.
void VmManager::Close() {
  loop_.thread().AssertHeld();
  closed_ = true;
  std::vector<Done> given_up;
  for (const auto& [id, vm] : vms_) {
    if (!vm->settled() || vm->deleting() || vm->deleters.empty()) continue;
    SetDrainDeadline(*vm, std::nullopt, nullptr);
    vm->deleted_for.clear();
    vm->keep_cid = false;
    for (Done& done : std::exchange(vm->deleters, {})) given_up.push_back(std::move(done));
  }
  for (Done& done : given_up) done(ShuttingDown());
}

// A VM that no VMM has been connected to for as long as its spec says is deleted.
void VmManager::ArmOrphan(Vm& vm) {
  if (vm.orphan_timer.has_value()) loop_.Cancel(*vm.orphan_timer);
  vm.orphan_timer.reset();
  if (vm.doomed() || vm.failed()) return;
  if (vm.device_status.state != DeviceState::kListening) {
    vm.alone_since.reset();
    return;
  }
  if (!vm.alone_since.has_value()) vm.alone_since = clock_.Now();
  const std::chrono::milliseconds ttl = vm.now->definition->spec.orphan_ttl;
  if (ttl.count() == 0) return;
  const auto left = std::max<MonotonicTime::duration>(*vm.alone_since + ttl - clock_.Now(), {});
  // The VM outlives the timer, which goes with it.
  vm.orphan_timer = loop_.RunAfter(left, [this, &vm] {
    vm.orphan_timer.reset();
    if (vm.settled()) {
      Log(LogLevel::kInfo, "vm.orphaned").With("vm", vm.now->definition->name());
      return RecordDeletion(vm);
    }
    // A change is being written: when that is done.
    vm.when_made.push_back([this, device = vm.device] {
      if (Vm* changed = Find(device); changed != nullptr) ArmOrphan(*changed);
    });
  });
}

}  // namespace kinsock
