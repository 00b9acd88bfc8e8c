// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_CONFIGURED_OBJECTS_H_
#define KINSOCK_SERVER_DAEMON_CONFIGURED_OBJECTS_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/status_macros.h"
#include "router/cid.h"
#include "server/config/config.h"
#include "server/manager/network_manager.h"
#include "server/model/saved_state.h"

namespace kinsock {

// How the objects of a configuration are made, one kind after the other, and what is said of those that cannot be: by a
// start of the daemon, and by --check, which is to say the same (config_rehearsal.h).
//
// Thread: main.

// What is wrong, a line each. Shared: what calls back outlives a start that is given up.
using ConfigFaults = std::shared_ptr<std::vector<std::string>>;

// A line for each thing that is wrong. INVALID_ARGUMENT: it is the configuration's fault.
absl::Status AllOf(const std::vector<std::string>& faults);

// Where the object is, and what is wrong with it; of a VM, in words of the file or the command line.
template <typename Configured>
std::string DescribeFault(const Configured& object, const absl::Status& status) {
  return object.origin + ": " + std::string(status.message());
}
std::string DescribeFault(const ConfiguredVm& vm, const absl::Status& status);

// CIDs that the configuration gives to certain VMs, by network.
using PromisedCids = std::set<std::pair<std::string, Cid>>;
PromisedCids FixedCids(const Config& config);

// Two VMs, or forwards, cannot have one name, and neither is to be lost for the other: that of the configuration or
// that in the state, whose file is `path`.
absl::Status CheckNames(const Config& config, const SavedState& saved, const std::string& path);

// That the VMs of `forwards` are there, among `vms` or in the state, and have room for them.
absl::Status CheckForwards(const std::vector<ConfiguredForward>& forwards, const std::vector<ConfiguredVm>& vms,
                           const SavedState& saved);

// Hands a creation for each object to `create`, and runs the loop until all are made, or not: for what reason, into
// `faults`. `check_stop` is asked all the while; what it returns ends this.
template <typename Configured, typename Create>
absl::Status MakeEach(EventLoop& loop, const std::vector<Configured>& objects, Create create,
                      absl::FunctionRef<absl::Status()> check_stop, const ConfigFaults& faults) {
  const auto left = std::make_shared<size_t>(objects.size());
  for (const Configured& object : objects) {
    KINSOCK_RETURN_IF_ERROR(check_stop());
    auto creation = object.creation;
    creation.configured = true;
    create(std::move(creation), [left, faults, object](const auto& result) {
      --*left;
      if (!result.ok()) faults->push_back(DescribeFault(object, result.status()));
    });
  }
  while (*left > 0) {
    KINSOCK_RETURN_IF_ERROR(check_stop());
    loop.RunOnce(std::chrono::milliseconds(1000));
  }
  return absl::OkStatus();
}

// Networks, and their policies. INVALID_ARGUMENT: all that is wrong with them.
absl::Status CreateConfiguredNetworks(EventLoop& loop, const Config& config, NetworkManager& networks,
                                      absl::FunctionRef<absl::Status()> check_stop);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_CONFIGURED_OBJECTS_H_
