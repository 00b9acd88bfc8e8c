// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_YAML_TEXT_H_
#define KINSOCK_CLI_TEXT_YAML_TEXT_H_

#include <string>

namespace kinsock {

// The YAML of a JSON text, in block style. What was a string in JSON stays one for every reader of YAML: "true" and
// "42" get quotes. The text itself when it is not JSON.
std::string JsonToYaml(const std::string& json);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_YAML_TEXT_H_
