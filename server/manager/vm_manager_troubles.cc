// SPDX-License-Identifier: Apache-2.0
//
// VmManager: what goes wrong with VMs outside of their devices.
#include <string>
#include <utility>

#include "server/manager/managed_vm.h"
#include "server/manager/vm_manager.h"

namespace kinsock {

void VmManager::ArmCheck() {
  if (check_timer_.has_value() || vms_.empty()) return;
  check_timer_ = loop_.RunAfter(kCheckEvery, [this] {
    check_timer_.reset();
    CheckSome();
    ArmCheck();
  });
}

void VmManager::CheckSome() {
  auto next = vms_.upper_bound(checked_);
  for (size_t looked_at = 0; looked_at < kVmsPerCheck && looked_at < vms_.size(); ++looked_at, ++next) {
    if (next == vms_.end()) next = vms_.begin();
    Vm& vm = *next->second;
    checked_ = next->first;
    if (!vm.served || vm.failed() || vm.doomed() || !vm.sockets.has_value()) continue;
    std::string lost = vm.sockets->FindLost();
    // Somebody's change has been written since: so can this VM's.
    const bool can_write = !vm.troubles.store.empty() && vm.store_failed_at != writes_;
    if (lost == vm.troubles.lost_socket && !can_write) continue;
    vm.troubles.lost_socket = std::move(lost);
    if (can_write) vm.troubles.store.clear();
    PublishStatus(vm);
  }
}

void VmManager::NoteWritten(Vm& vm, const absl::Status& written) {
  if (written.ok()) ++writes_;
  std::string trouble(written.message());
  if (trouble == vm.troubles.store) return;
  vm.troubles.store = std::move(trouble);
  vm.store_failed_at = writes_;
  if (vm.served && !vm.failed() && !vm.deleting()) PublishStatus(vm);
}

}  // namespace kinsock
