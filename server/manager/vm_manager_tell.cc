// SPDX-License-Identifier: Apache-2.0
//
// VmManager: what is told of VMs, as they change: events, and lines in the log.
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/host/log.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_lifecycle.h"
#include "server/manager/vm_manager.h"

namespace kinsock {

void VmManager::OnDeviceStatus(DeviceId device, const DeviceStatus& status) {
  loop_.thread().AssertHeld();
  Vm* vm = Find(device);
  if (vm == nullptr) return;
  if (vm->served && StateOf(status) != StateOf(vm->device_status)) ++vm->untold_states;
  vm->device_status = status;
  DeleteIfDrained(*vm);
  if (vm->served) ArmOrphan(*vm);
  if (!vm->served || vm->moving || vm->held_back.has_value() || vm->deleting()) return;
  if (clock_.Now() - vm->second >= std::chrono::seconds(1)) {
    vm->second = clock_.Now();
    vm->events_in_second = 0;
  }
  if (++vm->events_in_second <= kStatusEventsPerSecond) return PublishStatus(*vm);
  // The VM outlives the timer, which goes with it.
  vm->held_back = loop_.RunAfter(vm->second + std::chrono::seconds(1) - clock_.Now(), [this, vm] {
    vm->held_back.reset();
    if (!vm->deleting()) PublishStatus(*vm);
  });
}

// Whoever changed it by a call is to see it.
void VmManager::PublishHeldBack(Vm& vm) {
  if (!vm.held_back.has_value() || vm.deleting()) return;
  loop_.Cancel(*vm.held_back);
  vm.held_back.reset();
  PublishStatus(vm);
}

void VmManager::PublishStatus(Vm& vm) {
  VmStatus status = vm.now->status;
  ApplyDeviceStatus(status, vm.device_status, std::chrono::system_clock::now(), vm.troubles);
  Publish(vm, VmEvent::Type::kModified, std::move(status));
  TellState(vm);
}

// A line for the log. The states that came and went between two lines are counted in the later one, and one comes
// after the last of them.
void VmManager::TellState(Vm& vm) {
  if (vm.untold_states == 0 || vm.state_line.has_value()) return;
  if (!vm.state_lines.Take(clock_.Now())) {
    // The VM outlives the timer, which goes with it.
    vm.state_line = loop_.RunAfter(Vm::kPerStateLine, [this, &vm] {
      vm.state_line.reset();
      if (!vm.deleting()) TellState(vm);
    });
    return;
  }
  const VmStatus& now = vm.now->status;
  const uint64_t suppressed = std::exchange(vm.untold_states, 0) - 1;
  Log(LogLevel::kInfo, "vm.state")
      .With("vm", vm.now->definition->name())
      .With("state", VmStateName(now.state))
      .With("pid", now.front_end.has_value() ? now.front_end->pid : 0)
      .With("reason", vm.device_status.last_error)
      .With("suppressed", suppressed > 0 ? absl::StrCat(suppressed) : "");
}

void VmManager::Publish(Vm& vm, VmEvent::Type type, VmStatus status) {
  Publish(vm, type, vm.now->definition, std::move(status));
}

void VmManager::Publish(Vm& vm, VmEvent::Type type, std::shared_ptr<const VmDefinition> definition, VmStatus status) {
  auto next = std::make_shared<VmSnapshot>();
  next->definition = std::move(definition);
  next->status = std::move(status);
  next->version = hub_.next_version();
  vm.now = std::move(next);
  snapshot_ = nullptr;
  hub_.Publish({type, vm.now});
}

}  // namespace kinsock
