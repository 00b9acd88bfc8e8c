// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_QUOTA_H_
#define KINSOCK_SERVER_CONFIG_YAML_QUOTA_H_

#include <yaml-cpp/yaml.h>

#include <string>

#include "server/config/yaml_map.h"
#include "server/model/quota.h"

namespace kinsock {

// Reads a quota of a configuration file into `quota`, and checks it:
//
//     {max_connections: 100, connects_per_second: 10, bytes_to_guest: {rate: 1000000, burst: 100000}}
//
// Throws what yaml-cpp throws.
void ReadYamlQuota(const YAML::Node& node, const std::string& field, YamlFaults& faults, Quota& quota);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_QUOTA_H_
