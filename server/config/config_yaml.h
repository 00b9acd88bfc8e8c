// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_YAML_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_YAML_H_

#include <map>
#include <string>

#include "server/config/config.h"
#include "server/model/forward_spec.h"
#include "server/model/network.h"
#include "server/model/vm_spec.h"

namespace kinsock {

// From the daemon's values to the text of a configuration file: the other way of yaml_config. Paths are absolute, what
// has its default is left out, and what was reserved for a VM (CidRequest::kReserved) is its fixed CID, for no file
// says reservations. Pure functions; any thread.

// All of it.
std::string ConfigToYaml(const Config& config);

// In parts, which make a file when they are put together: the settings, then, if there are any, "networks:\n" and each
// network, and so for "policies:\n", "vms:\n" and "forwards:\n". Each ends with a newline.
std::string SettingsToYaml(const Config& config);
std::string NetworkToYaml(const std::string& id, const NetworkSpec& spec);
std::string PolicyToYaml(const std::string& id, const std::string& network, const PolicySpec& spec);
std::string VmToYaml(const std::string& id, const std::map<std::string, std::string>& labels,
                     const std::map<std::string, std::string>& annotations, const VmSpec& spec);
std::string ForwardToYaml(const std::string& id, const ForwardSpec& spec);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_YAML_H_
