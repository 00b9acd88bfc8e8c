// SPDX-License-Identifier: Apache-2.0
//
// VmManager: what is read of VMs.
#include <utility>

#include "absl/strings/str_cat.h"
#include "device/device_stats.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_manager.h"
#include "server/manager/vm_refusals.h"
#include "server/status/error.h"

namespace kinsock {

absl::StatusOr<VmSnapshotPtr> VmManager::Get(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  return found->second->now;
}

absl::StatusOr<DeviceId> VmManager::ServedDevice(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  const Vm& vm = *found->second;
  if (vm.doomed()) return VmIsBeingDeleted(*vm.now->definition);
  if (vm.failed()) return VmIsFailed(*vm.now->definition);
  if (vm.served) return vm.device;
  return VmIsBeingMade(id);
}

absl::StatusOr<VmStats> VmManager::Stats(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  VmStats stats{.since = found->second->stats_since, .totals = {}};
  stats.totals += *found->second->stats;
  return stats;
}

VmStats VmManager::TotalStats() const {
  VmStats stats = gone_;
  for (const auto& [id, vm] : vms_) stats.totals += *vm->stats;
  return stats;
}

std::vector<uint64_t> VmManager::ConnectionsByReactor() const {
  std::vector<uint64_t> sums(pool_.size());
  for (const auto& [id, vm] : vms_) {
    const std::optional<size_t> reactor = pool_.ReactorOf(vm->device);
    if (!reactor.has_value()) continue;
    DeviceTotals totals;
    totals += *vm->stats;
    uint64_t accepted = 0, closed = 0;
    for (const PortTotals::ByReason& connects : totals.guest_port.connects) {
      accepted += connects[static_cast<size_t>(CloseReason::kNone)];
    }
    for (const uint64_t closes : totals.guest_port.closes) closed += closes;
    // They are read one by one while connections come and go.
    sums[*reactor] += accepted > closed ? accepted - closed : 0;
  }
  return sums;
}

std::vector<VmSnapshotPtr> VmManager::List(const std::string& after, size_t max, const VmFilter& filter) const {
  std::vector<VmSnapshotPtr> list;
  for (auto vm = vms_.upper_bound(after); vm != vms_.end() && list.size() < max; ++vm) {
    if (filter.Matches(*vm->second->now)) list.push_back(vm->second->now);
  }
  return list;
}

VmManager::SnapshotList VmManager::Snapshot() {
  if (snapshot_ == nullptr) snapshot_ = std::make_shared<const std::vector<VmSnapshotPtr>>(List("", vms_.size()));
  return snapshot_;
}

VmSnapshotPtr VmManager::OfDevice(DeviceId device) const {
  const auto id = device_ids_.find(device);
  return id == device_ids_.end() ? departed_.Find(device) : vms_.at(id->second)->now;
}

size_t VmManager::active() const {
  size_t count = 0;
  for (const auto& [id, vm] : vms_) count += vm->now->status.state == VmState::kActive ? 1 : 0;
  return count;
}

VmManager::Vm* VmManager::Find(DeviceId device) {
  const auto id = device_ids_.find(device);
  return id == device_ids_.end() ? nullptr : vms_.at(id->second).get();
}

}  // namespace kinsock
