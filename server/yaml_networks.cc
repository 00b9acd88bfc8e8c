// SPDX-License-Identifier: Apache-2.0
#include "server/yaml_networks.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/network_validation.h"
#include "server/yaml_entry.h"

namespace kinsock {
namespace {

std::optional<DefaultPolicy> ParseDefault(const std::string& text) {
  if (text == "shared_group" || text == "shared-group") return DefaultPolicy::kSharedGroup;
  if (text == "allow") return DefaultPolicy::kAllow;
  if (text == "deny") return DefaultPolicy::kDeny;
  return std::nullopt;
}

using ReadQuota = std::function<void(const YAML::Node&, const std::string& field, Quota&)>;

void ReadNetwork(YamlEntry& entry, const ReadQuota& read_quota, NetworkCreation& network) {
  entry.Read(
      {{"name", [&](const YAML::Node& value) { entry.Text(value, "name", network.id); }},
       {"cid_range", [&](const YAML::Node& value) { entry.Range(value, "cid_range", network.spec.cids); }},
       {"reserved_ranges",
        [&](const YAML::Node& value) {
          entry.List(value, "reserved_ranges", [&](const YAML::Node& item) {
            entry.Range(item, "reserved_ranges", network.spec.reserved.emplace_back());
          });
        }},
       {"quarantine",
        [&](const YAML::Node& value) {
          absl::Duration time;
          if (!value.IsScalar() || !absl::ParseDuration(value.Scalar(), &time) || time < absl::ZeroDuration() ||
              time > absl::Hours(24 * 365)) {
            return entry.Say(value.Mark(), "quarantine", "is not a time; write 60s or 2m");
          }
          network.spec.quarantine = absl::ToChronoMilliseconds(time);
        }},
       {"quota", [&](const YAML::Node& value) { read_quota(value, entry.field() + ".quota", network.spec.quota); }},
       {"default_policy", [&](const YAML::Node& value) {
          const auto otherwise = ParseDefault(value.IsScalar() ? value.Scalar() : "");
          if (!otherwise.has_value()) {
            return entry.Say(value.Mark(), "default_policy", "is none of shared_group, allow and deny");
          }
          network.spec.otherwise = *otherwise;
        }}});
}

void ReadSelector(YamlEntry& outer, const YAML::Node& node, const std::string& key, PolicySelector& selector) {
  const YamlNetworks::Fault fault = [&](const YAML::Mark& mark, const std::string& field, const std::string& what) {
    outer.Say(mark, field, what);
  };
  YamlEntry entry(node, key, fault);
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
              {"labels", [&](const YAML::Node& value) {
                 if (!value.IsMap()) return entry.Say(value.Mark(), "labels", "is not a map; write {tier: web}");
                 for (const auto& label : value) {
                   if (!label.first.IsScalar() || !label.second.IsScalar()) {
                     entry.Say(label.first.Mark(), "labels", "has what is not text");
                     continue;
                   }
                   selector.labels[label.first.Scalar()] = label.second.Scalar();
                 }
               }}});
}

void ReadPolicy(YamlEntry& entry, PolicyCreation& policy) {
  PolicySpec& spec = policy.spec;
  entry.Read(
      {{"name", [&](const YAML::Node& value) { entry.Text(value, "name", policy.id); }},
       {"network", [&](const YAML::Node& value) { entry.Text(value, "network", policy.network); }},
       {"priority", [&](const YAML::Node& value) { entry.ReadNumber(value, "priority", spec.priority); }},
       {"allow", [&](const YAML::Node& value) { entry.Bool(value, "allow", spec.allow); }},
       {"reset_existing", [&](const YAML::Node& value) { entry.Bool(value, "reset_existing", spec.reset_existing); }},
       {"from", [&](const YAML::Node& value) { ReadSelector(entry, value, "from", spec.from); }},
       {"to", [&](const YAML::Node& value) { ReadSelector(entry, value, "to", spec.to); }},
       {"ports", [&](const YAML::Node& value) {
          entry.List(value, "ports",
                     [&](const YAML::Node& item) { entry.Range(item, "ports", spec.ports.emplace_back()); });
        }}});
}

}  // namespace

void YamlNetworks::ReadNetworks(const YAML::Node& list, const Fault& fault, const Place& place) {
  if (list.IsNull()) return;
  if (!list.IsSequence()) return fault(list.Mark(), "networks", "is not a list; begin each network with \"- \"");
  for (size_t i = 0; i < list.size(); ++i) {
    YamlEntry entry(list[i], absl::StrCat("networks[", i, "]"), fault);
    if (!entry.IsMap("{name: lab}")) continue;
    ConfiguredNetwork network{{}, place(list[i].Mark())};
    ReadNetwork(entry, read_quota, network.creation);
    if (entry.failed()) continue;
    NetworkSpec rest = network.creation.spec;
    rest.quota = {};  // whoever read it has looked at it
    std::vector<FieldViolation> violations = CheckNetwork(rest);
    CheckId(network.creation.id, "name", violations);
    entry.Say(violations, "network.");
    networks.push_back(std::move(network));
  }
}

void YamlNetworks::ReadPolicies(const YAML::Node& list, const Fault& fault, const Place& place) {
  if (list.IsNull()) return;
  if (!list.IsSequence()) return fault(list.Mark(), "policies", "is not a list; begin each policy with \"- \"");
  for (size_t i = 0; i < list.size(); ++i) {
    YamlEntry entry(list[i], absl::StrCat("policies[", i, "]"), fault);
    if (!entry.IsMap("{network: default, allow: false, to: {host: true}}")) continue;
    ConfiguredPolicy policy{{}, place(list[i].Mark())};
    policy.creation.network = kDefaultNetworkId;
    policy.creation.id = absl::StrCat("file-", i + 1);
    ReadPolicy(entry, policy.creation);
    if (entry.failed()) continue;
    std::vector<FieldViolation> violations = CheckPolicy(policy.creation.spec);
    CheckId(policy.creation.id, "name", violations);
    CheckId(policy.creation.network, "network", violations);
    entry.Say(violations, "policy.");
    policies.push_back(std::move(policy));
  }
}

}  // namespace kinsock
