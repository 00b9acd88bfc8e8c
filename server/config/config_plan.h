// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_PLAN_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_PLAN_H_

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "server/config/config.h"
#include "server/config/reload_report.h"
#include "server/manager/forward_manager.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_manager.h"

namespace kinsock {

// What has to be done so that what is the configuration's is as the configuration has it now, and in which order: by
// phases, of which each is done before the next begins, and a step of a phase does not depend on another one.
//
//     networks made, changed - policies gone - policies made, changed - forwards gone - VMs gone - VMs made, changed -
//     forwards made, changed - networks gone
//
// A new VM may thus have the CID and the paths of one that is gone; a network, and a forward's VM, is there before it
// is used.
struct ConfigPlan {
  static constexpr size_t kPhases = 8;

  enum class Kind : uint8_t { kNetwork, kPolicy, kVm, kForward };
  struct Step {
    Kind kind = Kind::kVm;
    bool remove = false;    // takes it away; else makes or changes it
    size_t change = 0;      // of `changes`
    size_t configured = 0;  // not `remove`: of the configuration's list
    std::string id;         // `remove`: of the object
    std::string network;    // `remove`: of a policy
  };

  std::vector<ConfigChange> changes;  // those that cannot be have their status, and no step
  std::array<std::vector<Step>, kPhases> phases;
  size_t unchanged = 0;
};

// Looks only, at `config` and at what there is. Main thread.
ConfigPlan PlanConfig(const Config& config, const ReloadRequest& request, const NetworkManager& networks,
                      VmManager& vms, const ForwardManager& forwards, const std::string& vms_dir);

// Settings that hold only for a daemon that was started with them, and are others in `wanted` than in `running`:
// "api.listen".
std::vector<std::string> SettingsThatNeedARestart(const Config& running, const Config& wanted);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_PLAN_H_
