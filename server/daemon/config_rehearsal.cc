// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/config_rehearsal.h"

#include <cstddef>
#include <map>
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
#include "server/manager/forward_manager.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_journal.h"
#include "server/manager/vm_refusals.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {
namespace {

// Without what only the state can tell.
Config WithoutUnknownNetworks(const Config& config) {
  Config known = config;
  if (config.state_dir.empty()) return known;
  std::set<std::string> networks{kDefaultNetworkId};
  for (const ConfiguredNetwork& network : config.networks) networks.insert(network.creation.id);
  std::erase_if(known.policies,
                [&](const ConfiguredPolicy& policy) { return networks.count(policy.creation.network) == 0; });
  std::erase_if(known.vms, [&](const ConfiguredVm& vm) { return networks.count(NetworkOf(vm.creation.spec)) == 0; });
  return known;
}

// As VmManager::Create() gives them, in the same order.
absl::Status TakeCids(const Config& config, NetworkManager& networks) {
  std::vector<std::string> faults;
  for (const ConfiguredVm& vm : config.vms) {
    VmCreation creation = vm.creation;
    creation.configured = true;
    absl::StatusOr<Cid> cid = networks.PeekCid(creation);
    if (cid.ok()) cid = networks.CidsOf(NetworkOf(creation.spec)).Allocate(creation.spec.cid, "vms/" + creation.id);
    if (!cid.ok()) faults.push_back(DescribeFault(vm, cid.status()));
  }
  return AllOf(faults);
}

// As ForwardManager::Create() looks for them.
absl::Status FindVms(const Config& config) {
  std::map<std::string, size_t> forwards;  // by VM
  for (const ConfiguredVm& vm : config.vms) forwards[vm.creation.id] = 0;
  size_t all = 0;
  std::vector<std::string> faults;
  for (const ConfiguredForward& forward : config.forwards) {
    const std::string id = forward.creation.spec.vm_id();
    const auto vm = forwards.find(id);
    const absl::Status fault = vm == forwards.end() ? VmNotFound(id) : ForwardManager::CheckRoom(all, vm->second);
    if (!fault.ok()) {
      faults.push_back(DescribeFault(forward, fault));
      continue;
    }
    ++all;
    ++vm->second;
  }
  return AllOf(faults);
}

}  // namespace

absl::Status RehearseConfig(const Config& config) {
  const Config known = WithoutUnknownNetworks(config);
  EventLoop loop;
  NoJournal journal;
  auto pool = std::make_unique<ReactorPool>(loop, ReactorPool::Options(), [](DeviceId, const DeviceStatus&) {});
  NetworkManager networks(loop, Clock::Monotonic(), *pool, journal);
  const auto rehearse = [&]() -> absl::Status {
    KINSOCK_RETURN_IF_ERROR(CreateConfiguredNetworks(loop, known, networks, [] { return absl::OkStatus(); }));
    KINSOCK_RETURN_IF_ERROR(TakeCids(known, networks));
    return FindVms(config);
  };
  absl::Status result = rehearse();
  pool.reset();  // before the manager, whose callbacks it holds
  return result;
}

}  // namespace kinsock
