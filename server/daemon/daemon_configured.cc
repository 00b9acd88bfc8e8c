// SPDX-License-Identifier: Apache-2.0
//
// Daemon: what is there when it starts: what the configuration wants, and what the state file has kept.
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "server/daemon/configured_objects.h"
#include "server/daemon/daemon.h"
#include "server/model/saved_state.h"

namespace kinsock {

// Networks before VMs, and VMs before their forwards: each needs the one before it. What the configuration names comes
// before what was kept, which gets its sockets and devices all at once, but for its forwards of VMs that were kept.
absl::Status Daemon::Populate(SavedState saved) {
  const PromisedCids configured = FixedCids(config_);
  networks_->Restore(saved, configured);
  // Before any VM: none is ever served by less than what the file says.
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredNetworks(loop_, config_, *networks_, [this] { return CheckStop(); }));
  forwards_->Restore(saved);
  manager_->Restore(std::move(saved), configured);
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredVms());
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredForwards(true));
  KINSOCK_RETURN_IF_ERROR(ServeSavedVms());
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredForwards(false));
  return ServeSavedForwards();
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

// Those of VMs of the configuration, or those of the others.
absl::Status Daemon::CreateConfiguredForwards(bool of_configured) {
  std::set<std::string> vms;
  for (const ConfiguredVm& vm : config_.vms) vms.insert(vm.creation.id);
  std::vector<ConfiguredForward> forwards;
  for (const ConfiguredForward& forward : config_.forwards) {
    if ((vms.count(forward.creation.spec.vm_id()) > 0) == of_configured) forwards.push_back(forward);
  }
  const auto faults = std::make_shared<std::vector<std::string>>();
  const auto create = [this](ForwardCreation creation, auto done) {
    forwards_->Create(std::move(creation), std::move(done));
  };
  KINSOCK_RETURN_IF_ERROR(MakeEach(
      loop_, forwards, create, [this] { return CheckStop(); }, faults));
  return AllOf(*faults);
}

absl::Status Daemon::ServeSavedVms() {
  return Await(
      [this](EventLoop::Task served) { manager_->ServeRestored([this] { return StopIsAsked(); }, std::move(served)); });
}

absl::Status Daemon::ServeSavedForwards() {
  return Await([this](EventLoop::Task served) {
    forwards_->ServeRestored([this] { return StopIsAsked(); }, std::move(served));
  });
}

// Runs the loop until what `begin` begins is through. The task may outlive this call when it gives up.
absl::Status Daemon::Await(absl::FunctionRef<void(EventLoop::Task)> begin) {
  const auto through = std::make_shared<bool>(false);
  begin([through] { *through = true; });
  while (!*through) {
    KINSOCK_RETURN_IF_ERROR(CheckStop());
    loop_.RunOnce(std::chrono::milliseconds(1000));
  }
  return CheckStop();
}

}  // namespace kinsock
