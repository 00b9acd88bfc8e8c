// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config_rehearsal.h"

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status_macros.h"
#include "router/cid.h"
#include "server/daemon/configured_objects.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_journal.h"
#include "server/manager/vm_manager.h"
#include "server/model/saved_state.h"
#include "server/reactors/reactor_pool.h"
#include "server/store/state_file.h"
#include "server/store/state_peek.h"

namespace kinsock {
namespace {

// Without what only the state can tell.
Config WithoutUnknown(Config config) {
  std::set<std::string> networks{kDefaultNetworkId}, vms;
  for (const ConfiguredNetwork& network : config.networks) networks.insert(network.creation.id);
  std::erase_if(config.policies,
                [&](const ConfiguredPolicy& policy) { return networks.count(policy.creation.network) == 0; });
  for (const ConfiguredVm& vm : config.vms) vms.insert(vm.creation.id);
  std::erase_if(config.forwards,
                [&](const ConfiguredForward& forward) { return vms.count(forward.creation.spec.vm_id()) == 0; });
  std::erase_if(config.vms, [&](const ConfiguredVm& vm) { return networks.count(NetworkOf(vm.creation.spec)) == 0; });
  return config;
}

// As VmManager::Create() gives them, in the same order; `vms`: that there are.
absl::Status TakeCids(const Config& config, size_t vms, NetworkManager& networks) {
  std::vector<std::string> faults;
  for (const ConfiguredVm& vm : config.vms) {
    VmCreation creation = vm.creation;
    creation.configured = true;
    const absl::Status room = VmManager::CheckRoom(vms);
    absl::StatusOr<Cid> cid = room.ok() ? networks.PeekCid(creation) : room;
    if (cid.ok()) cid = networks.CidsOf(NetworkOf(creation.spec)).Allocate(creation.spec.cid, "vms/" + creation.id);
    if (!cid.ok()) faults.push_back(DescribeFault(vm, cid.status()));
    if (cid.ok()) ++vms;
  }
  return AllOf(faults);
}

}  // namespace

Rehearsal RehearseConfig(const Config& config) {
  absl::StatusOr<SavedState> saved = SavedState();
  if (!config.state_dir.empty()) saved = PeekState(config.state_dir);
  Rehearsal rehearsal;
  if (!saved.ok()) rehearsal.unseen = std::string(saved.status().message());
  const Config known = saved.ok() ? config : WithoutUnknown(config);
  const SavedState there = saved.ok() ? *std::move(saved) : SavedState();

  EventLoop loop;
  NoJournal journal;
  auto pool = std::make_unique<ReactorPool>(loop, ReactorPool::Options(), [](DeviceId, const DeviceStatus&) {});
  NetworkManager networks(loop, Clock::Monotonic(), *pool, journal);
  const auto rehearse = [&]() -> absl::Status {
    KINSOCK_RETURN_IF_ERROR(CheckNames(known, there, StateFile::PathIn(config.state_dir)));
    KINSOCK_RETURN_IF_ERROR(CheckForwards(known.forwards, config.vms, there));
    const PromisedCids promised = FixedCids(config);
    networks.Restore(there, promised);
    KINSOCK_RETURN_IF_ERROR(CreateConfiguredNetworks(loop, known, networks, [] { return absl::OkStatus(); }));
    for (const SavedVm& vm : there.vms) networks.ClaimRestored(vm, promised);
    return TakeCids(known, there.vms.size(), networks);
  };
  rehearsal.result = rehearse();
  pool.reset();  // before the manager, whose callbacks it holds
  return rehearsal;
}

}  // namespace kinsock
