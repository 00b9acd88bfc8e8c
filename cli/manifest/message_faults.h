// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_MESSAGE_FAULTS_H_
#define KINSOCK_CLI_MANIFEST_MESSAGE_FAULTS_H_

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <string>

#include "server/config/yaml_map.h"

namespace kinsock {

// A message of the API, written as YAML or JSON by a person. Throws what yaml-cpp throws.

// Reads `node` into `message`, which is empty. False: said in `faults` what is wrong, each where it stands; `path` is
// what comes before the names of its fields, "vms[0]" or nothing.
bool ReadMessage(const YAML::Node& node, const std::string& path, YamlFaults& faults,
                 google::protobuf::Message& message);

// Where in `node` a field stands that the daemon names as "spec.uds.path"; as far as that goes, where what it is in
// stands.
YAML::Mark MarkOfField(const YAML::Node& node, const std::string& field);

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_MESSAGE_FAULTS_H_
