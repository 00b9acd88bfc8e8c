// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_networks.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/yaml_quota.h"
#include "server/model/network_validation.h"

namespace kinsock {
namespace {

// As many as a daemon has (NetworkManager).
constexpr size_t kMaxYamlNetworks = 1024;
constexpr size_t kMaxYamlPolicies = 16384;

std::optional<DefaultPolicy> ParseDefault(const std::string& text) {
  if (text == "shared_group" || text == "shared-group") return DefaultPolicy::kSharedGroup;
  if (text == "allow") return DefaultPolicy::kAllow;
  if (text == "deny") return DefaultPolicy::kDeny;
  return std::nullopt;
}

void ReadNetwork(YamlMap& entry, YamlFaults& faults, NetworkCreation& network) {
  entry.Read(
      {{"name", [&](const YAML::Node& value) { entry.Text(value, "name", network.id); }},
       {"cid_range", [&](const YAML::Node& value) { entry.Range(value, "cid_range", network.spec.cids); }},
       {"reserved_ranges",
        [&](const YAML::Node& value) {
          entry.List(value, "reserved_ranges", [&](const YAML::Node& item) {
            entry.Range(item, "reserved_ranges", network.spec.reserved.emplace_back());
          });
        }},
       {"quarantine", [&](const YAML::Node& value) { entry.Time(value, "quarantine", network.spec.quarantine); }},
       {"quota",
        [&](const YAML::Node& value) { ReadYamlQuota(value, entry.FieldOf("quota"), faults, network.spec.quota); }},
       {"default_policy", [&](const YAML::Node& value) {
          const auto otherwise = ParseDefault(value.IsScalar() ? value.Scalar() : "");
          if (!otherwise.has_value()) {
            return entry.Say(value.Mark(), "default_policy", "is none of shared_group, allow and deny");
          }
          network.spec.otherwise = *otherwise;
        }}});
}

void ReadSelector(const YAML::Node& node, const std::string& field, YamlFaults& faults, PolicySelector& selector) {
  YamlMap entry(node, field, faults);
  if (!entry.IsMap("{labels: {tier: web}} or {host: true}")) return;
  entry.Read({{"host", [&](const YAML::Node& value) { entry.Bool(value, "host", selector.host); }},
              {"vm",
               [&](const YAML::Node& value) {
                 entry.Text(value, "vm", selector.vm);
                 if (!selector.vm.empty() && !absl::StartsWith(selector.vm, "vms/")) selector.vm = "vms/" + selector.vm;
               }},
              {"cid_range", [&](const YAML::Node& value) { entry.Range(value, "cid_range", selector.cids.emplace()); }},
              {"groups",
               [&](const YAML::Node& value) {
                 entry.List(value, "groups", [&](const YAML::Node& item) {
                   entry.Text(item, "groups", selector.groups.emplace_back());
                 });
               }},
              {"labels", [&](const YAML::Node& value) { entry.Texts(value, "labels", selector.labels); }}});
}

void ReadPolicy(YamlMap& entry, YamlFaults& faults, PolicyCreation& policy) {
  PolicySpec& spec = policy.spec;
  entry.Read(
      {{"name", [&](const YAML::Node& value) { entry.Text(value, "name", policy.id); }},
       {"network", [&](const YAML::Node& value) { entry.Text(value, "network", policy.network); }},
       {"priority", [&](const YAML::Node& value) { entry.ReadNumber(value, "priority", spec.priority); }},
       {"allow", [&](const YAML::Node& value) { entry.Bool(value, "allow", spec.allow); }},
       {"log", [&](const YAML::Node& value) { entry.Bool(value, "log", spec.log); }},
       {"reset_existing", [&](const YAML::Node& value) { entry.Bool(value, "reset_existing", spec.reset_existing); }},
       {"from", [&](const YAML::Node& value) { ReadSelector(value, entry.FieldOf("from"), faults, spec.from); }},
       {"to", [&](const YAML::Node& value) { ReadSelector(value, entry.FieldOf("to"), faults, spec.to); }},
       {"ports", [&](const YAML::Node& value) {
          entry.List(value, "ports",
                     [&](const YAML::Node& item) { entry.Range(item, "ports", spec.ports.emplace_back()); });
        }}});
}

}  // namespace

void ReadYamlNetworks(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredNetwork>& networks) {
  const auto read = [&](YamlMap& entry, size_t) {
    ConfiguredNetwork network{{}, faults.Place(entry.mark())};
    ReadNetwork(entry, faults, network.creation);
    if (entry.failed()) return;
    NetworkSpec rest = network.creation.spec;
    rest.quota = {};  // whoever read it has looked at it
    std::vector<FieldViolation> violations = CheckNetwork(rest);
    CheckId(network.creation.id, "name", violations);
    entry.Say(violations, "network.");
    networks.push_back(std::move(network));
  };
  ForEachYamlEntry(list, "networks", "{name: lab}", kMaxYamlNetworks, faults, read);
}

void ReadYamlPolicies(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredPolicy>& policies) {
  const auto read = [&](YamlMap& entry, size_t index) {
    ConfiguredPolicy policy{{}, faults.Place(entry.mark())};
    policy.creation.network = kDefaultNetworkId;
    policy.creation.id = absl::StrCat("file-", index + 1);
    ReadPolicy(entry, faults, policy.creation);
    if (entry.failed()) return;
    std::vector<FieldViolation> violations = CheckPolicy(policy.creation.spec);
    CheckId(policy.creation.id, "name", violations);
    CheckId(policy.creation.network, "network", violations);
    entry.Say(violations, "policy.");
    policies.push_back(std::move(policy));
  };
  ForEachYamlEntry(list, "policies", "{network: default, allow: false, to: {host: true}}", kMaxYamlPolicies, faults,
                   read);
}

}  // namespace kinsock
