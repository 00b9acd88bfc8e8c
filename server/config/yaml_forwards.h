// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_FORWARDS_H_
#define KINSOCK_SERVER_CONFIG_YAML_FORWARDS_H_

#include <yaml-cpp/yaml.h>

#include <vector>

#include "server/config/config.h"
#include "server/config/yaml_map.h"

namespace kinsock {

// The part `forwards` of a configuration file:
//
//     forwards:
//       - {name: ssh, vm: web-1, guest_port: 22, listen: "unix:%t/kinsock/ssh.sock", mode: "0660", group: admins}
//       - {name: log, vm: web-1, guest_port: 514, target: "tcp:127.0.0.1:514", send_proxy_v2: true}
//
// `listen` and `target` say the direction. Throws what yaml-cpp throws.
void ReadYamlForwards(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredForward>& forwards);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_FORWARDS_H_
