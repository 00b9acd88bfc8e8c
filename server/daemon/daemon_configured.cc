// SPDX-License-Identifier: Apache-2.0
//
// Daemon: what is there when it starts: what the configuration wants, and what the state file has kept.
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/cid.h"
#include "server/daemon/configured_objects.h"
#include "server/daemon/daemon.h"
#include "server/model/saved_state.h"

namespace kinsock {
namespace {

std::set<std::pair<std::string, Cid>> FixedCids(const std::vector<ConfiguredVm>& vms) {
  std::set<std::pair<std::string, Cid>> cids;
  for (const ConfiguredVm& vm : vms) {
    if (vm.creation.spec.cid.kind == CidRequest::Kind::kFixed) {
      cids.insert({NetworkOf(vm.creation.spec), vm.creation.spec.cid.first});
    }
  }
  return cids;
}

}  // namespace

// Networks before VMs, and VMs before forwards: each needs the one before it. What the configuration names comes before
// what was kept, which gets its sockets and devices last, all at once.
absl::Status Daemon::Populate(SavedState saved) {
  const std::set<std::pair<std::string, Cid>> configured = FixedCids(config_.vms);
  networks_->Restore(saved, configured);
  // Before any VM: none is ever served by less than what the file says.
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredNetworks(loop_, config_, *networks_, [this] { return CheckStop(); }));
  forwards_->Restore(saved);
  manager_->Restore(std::move(saved), configured);
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredVms());
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredForwards());
  return ServeSaved();
}

// Two VMs, or forwards, cannot have one name, and neither is to be lost for the other.
absl::Status Daemon::CheckNames(const SavedState& saved) const {
  std::set<std::string> vms, forwards;
  for (const SavedVm& vm : saved.vms) vms.insert(vm.definition->id);
  for (const ForwardDefinitionPtr& forward : saved.forwards) forwards.insert(forward->id);
  std::vector<std::string> faults;
  const auto check = [&](const auto& configured, const std::set<std::string>& taken, const char* kind) {
    for (const auto& object : configured) {
      if (taken.count(object.creation.id) == 0) continue;
      faults.push_back(absl::StrCat(object.origin, ": name: \"", object.creation.id, "\" is that of a ", kind,
                                    " which was created through the API and is kept in ", store_->path(),
                                    "; give this one another name, or start without it and delete the other"));
    }
  };
  check(config_.vms, vms, "VM");
  check(config_.forwards, forwards, "forward");
  return AllOf(faults);
}

absl::Status Daemon::CreateConfiguredVms() {
  const auto faults = std::make_shared<std::vector<std::string>>();
  const auto create = [this](VmCreation creation, auto done) {
    manager_->Create(std::move(creation), std::move(done));
  };
  KINSOCK_RETURN_IF_ERROR(MakeEach(
      loop_, config_.vms, create, [this] { return CheckStop(); }, faults));
  return AllOf(*faults);
}

absl::Status Daemon::CreateConfiguredForwards() {
  const auto faults = std::make_shared<std::vector<std::string>>();
  const auto create = [this](ForwardCreation creation, auto done) {
    forwards_->Create(std::move(creation), std::move(done));
  };
  KINSOCK_RETURN_IF_ERROR(MakeEach(
      loop_, config_.forwards, create, [this] { return CheckStop(); }, faults));
  return AllOf(*faults);
}

absl::Status Daemon::ServeSaved() {
  bool served = false;
  const auto give_up = [this] { return StopIsAsked(); };
  manager_->ServeRestored(give_up, [&] { forwards_->ServeRestored(give_up, [&served] { served = true; }); });
  while (!served) {
    KINSOCK_RETURN_IF_ERROR(CheckStop());
    loop_.RunOnce(std::chrono::milliseconds(1000));
  }
  return CheckStop();
}

}  // namespace kinsock
