// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/policy_book.h"

#include <utility>

namespace kinsock {

std::shared_ptr<const PolicySubject> PolicyBook::Add(DeviceId device, NetworkId network, VmIdentity identity) {
  Network& into = networks_[network];
  into.devices.insert(device);
  std::shared_ptr<const PolicySubject> subject = into.policies->Identify(identity);
  vms_[device] = {.network = network, .identity = std::move(identity), .subject = subject};
  return subject;
}

void PolicyBook::Remove(DeviceId device) {
  const auto vm = vms_.find(device);
  if (vm == vms_.end()) return;
  networks_[vm->second.network].devices.erase(device);
  vms_.erase(vm);
}

std::shared_ptr<const PolicySubject> PolicyBook::SetIdentity(DeviceId device, std::shared_ptr<const GroupSet> groups,
                                                             std::map<std::string, std::string> labels) {
  Vm& vm = vms_.at(device);
  vm.identity.groups = std::move(groups);
  vm.identity.labels = std::move(labels);
  vm.subject = networks_[vm.network].policies->Identify(vm.identity);
  return vm.subject;
}

std::shared_ptr<const PolicySubject> PolicyBook::SetCid(DeviceId device, Cid cid) {
  Vm& vm = vms_.at(device);
  vm.identity.cid = cid;
  vm.subject = networks_[vm.network].policies->Identify(vm.identity);
  return vm.subject;
}

std::shared_ptr<const PolicyChange> PolicyBook::SetPolicies(NetworkId network,
                                                            std::shared_ptr<const PolicySet> policies) {
  Network& changed = networks_[network];
  auto change = std::make_shared<PolicyChange>();
  change->before = std::exchange(changed.policies, policies);
  change->after = policies;
  change->vms.reserve(changed.devices.size());
  for (const DeviceId device : changed.devices) {
    Vm& vm = vms_.at(device);
    std::shared_ptr<const PolicySubject> before = std::move(vm.subject);
    vm.subject = policies->Identify(vm.identity);
    change->vms[vm.identity.cid] = {.before = std::move(before), .after = vm.subject};
  }
  return change;
}

std::vector<DeviceId> PolicyBook::DevicesOf(NetworkId network) const {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return {};
  return {found->second.devices.begin(), found->second.devices.end()};
}

}  // namespace kinsock
