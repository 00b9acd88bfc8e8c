// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_quota.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

// A number, or {rate: N, burst: N}.
void ReadRate(const YAML::Node& node, const std::string& field, YamlFaults& faults, Rate& rate) {
  if (node.IsScalar() && absl::SimpleAtoi(node.Scalar(), &rate.per_second)) return;
  if (!node.IsMap()) return faults.Add(node.Mark(), field, "is neither a number nor {rate: N, burst: N}");
  YamlMap map(node, field, faults);
  map.Read({{"rate", [&](const YAML::Node& value) { map.ReadNumber(value, "rate", rate.per_second); }},
            {"burst", [&](const YAML::Node& value) { map.ReadNumber(value, "burst", rate.burst); }}},
           "part of a rate");
}

}  // namespace

void ReadYamlQuota(const YAML::Node& node, const std::string& field, YamlFaults& faults, Quota& quota) {
  YamlMap map(node, field, faults);
  if (!map.IsMap("{max_connections: N}")) return;
  const auto number = [&map](const char* key, auto& into) {
    return [&map, key, &into](const YAML::Node& value) { map.ReadNumber(value, key, into); };
  };
  const auto rate = [&map, &faults](const char* key, Rate& into) {
    return [&map, &faults, key, &into](const YAML::Node& value) { ReadRate(value, map.FieldOf(key), faults, into); };
  };
  map.Read({{"max_connections", number("max_connections", quota.max_connections)},
            {"max_pending_connections", number("max_pending_connections", quota.max_pending_connections)},
            {"max_buffer_bytes", number("max_buffer_bytes", quota.max_buffer_bytes)},
            {"connects_per_second", rate("connects_per_second", quota.connects_per_second)},
            {"bytes_to_guest", rate("bytes_to_guest", quota.bytes_to_guest)},
            {"bytes_from_guest", rate("bytes_from_guest", quota.bytes_from_guest)},
            {"packets_from_guest", rate("packets_from_guest", quota.packets_from_guest)}},
           "a limit");
  if (map.failed()) return;
  std::vector<FieldViolation> violations;
  CheckQuota(quota, "quota", violations);
  map.Say(violations, "quota.");
}

}  // namespace kinsock
