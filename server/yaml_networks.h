// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_YAML_NETWORKS_H_
#define KINSOCK_SERVER_YAML_NETWORKS_H_

#include <yaml-cpp/yaml.h>

#include <functional>
#include <string>
#include <vector>

#include "server/config.h"

namespace kinsock {

// The parts `networks` and `policies` of a configuration file:
//
//     networks: [{name: lab, cid_range: 1024-2047, reserved_ranges: [1100-1199], quarantine: 60s,
//                 default_policy: deny, quota: {max_connections: 100}}]
//     policies: [{name: low-ports, network: default, priority: 10, allow: false, reset_existing: true,
//                 from: {labels: {tier: web}, groups: [a, b], cid_range: 3-9, vm: web-1}, to: {host: true},
//                 ports: [22, 1-1023]}]
//
// What is left out has its default; a policy without a name is "file-1", "file-2" and so on in the order of the file.
// Faults are told by `fault`: place, field, what is wrong. Throws what yaml-cpp throws.
struct YamlNetworks {
  using Fault = std::function<void(const YAML::Mark&, const std::string& field, const std::string& what)>;
  // "kinsock.yaml:3:5".
  using Place = std::function<std::string(const YAML::Mark&)>;

  // Reads what `quota` is; faults as by `fault`.
  std::function<void(const YAML::Node&, const std::string& field, Quota&)> read_quota;

  std::vector<ConfiguredNetwork> networks;
  std::vector<ConfiguredPolicy> policies;

  void ReadNetworks(const YAML::Node& list, const Fault& fault, const Place& place);
  void ReadPolicies(const YAML::Node& list, const Fault& fault, const Place& place);
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_YAML_NETWORKS_H_
