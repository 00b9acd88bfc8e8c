// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_YAML_JSON_H_
#define KINSOCK_CLI_MANIFEST_YAML_JSON_H_

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kinsock {

// What one document may become: a request above 4 MiB is refused anyway, and aliases of aliases grow without end.
inline constexpr size_t kMaxYamlJsonBytes = 4u << 20;

// Each document of a YAML text, which may be JSON, as JSON. Words in quotes are text; others are numbers, truth values
// or null if they read so. INVALID_ARGUMENT with "line:column: what".
absl::StatusOr<std::vector<std::string>> YamlToJson(const std::string& yaml);

// The same of one node. Throws what yaml-cpp throws.
absl::StatusOr<std::string> NodeToJson(const YAML::Node& node);

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_YAML_JSON_H_
