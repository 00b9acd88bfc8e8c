// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_NETWORKS_H_
#define KINSOCK_SERVER_CONFIG_YAML_NETWORKS_H_

#include <yaml-cpp/yaml.h>

#include <vector>

#include "server/config/config.h"
#include "server/config/yaml_map.h"

namespace kinsock {

// The parts `networks` and `policies` of a configuration file:
//
//     networks: [{name: lab, cid_range: 1024-2047, reserved_ranges: [1100-1199], quarantine: 60s,
//                 default_policy: deny, quota: {max_connections: 100}}]
//     policies: [{name: low-ports, network: default, priority: 10, allow: false, reset_existing: true,
//                 log: false,
//                 from: {labels: {tier: web}, groups: [a, b], cid_range: 3-9, vm: web-1}, to: {host: true},
//                 ports: [22, 1-1023]}]
//
// What is left out has its default; a policy without a name is "file-1", "file-2" and so on in the order of the file.
// Throws what yaml-cpp throws.
void ReadYamlNetworks(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredNetwork>& networks);
void ReadYamlPolicies(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredPolicy>& policies);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_NETWORKS_H_
