// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_VMS_H_
#define KINSOCK_SERVER_CONFIG_YAML_VMS_H_

#include <yaml-cpp/yaml.h>

#include <vector>

#include "server/config/config.h"
#include "server/config/yaml_map.h"

namespace kinsock {

// The part `vms` of a configuration file. What vm_settings.h lists is as the existing daemon has it; the rest is ours,
// and all that the API knows can be said:
//
//     vms: [{name: web-1, guest_cid: 42, socket: /run/web-1.sock, uds_path: /run/web-1.uds, groups: "web+db",
//            network: default, labels: {tier: web}, annotations: {owner: team a}, orphan_ttl: 10m,
//            allow_seqpacket: false, readiness: {probe_guest_port: 22}, quota: {max_connections: 100}},
//           {name: db-1, guest_cid: 1024-2047, sticky_cid: true, groups: [db], forward_cid: 1, forward_listen: [9001]}]
//
// Throws what yaml-cpp throws.
void ReadYamlVms(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredVm>& vms);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_VMS_H_
