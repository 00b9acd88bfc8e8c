// SPDX-License-Identifier: Apache-2.0
#include "server/yaml_networks.h"

#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "server/network_validation.h"
#include "server/text.h"
#include "server/vm_settings.h"

namespace kinsock {
namespace {

// One map of the list, and what is found wrong with it.
class Entry {
 public:
  Entry(const YAML::Node& node, std::string field, const YamlNetworks::Fault& fault)
      : node_(node), field_(std::move(field)), fault_(fault) {}

  bool IsMap(const char* example) {
    if (node_.IsMap()) return true;
    Say(node_.Mark(), "", absl::StrCat("is not a map; write ", example));
    return false;
  }

  using Readers = std::map<std::string, std::function<void(const YAML::Node&)>>;
  void Read(const Readers& readers) {
    std::vector<std::string_view> names;
    for (const auto& [name, reader] : readers) names.push_back(name);
    for (const auto& item : node_) {
      const std::string key = item.first.IsScalar() ? NormalSettingKey(item.first.Scalar()) : "";
      const auto reader = readers.find(key);
      if (reader == readers.end()) {
        Say(item.first.Mark(), key, absl::StrCat("is not a setting", DidYouMean(key, names)));
        continue;
      }
      places_[key] = item.second.Mark();
      reader->second(item.second);
    }
  }

  void Text(const YAML::Node& value, const std::string& key, std::string& out) {
    if (!value.IsScalar()) return Say(value.Mark(), key, "is not text");
    out = value.Scalar();
  }
  template <typename Number>
  void ReadNumber(const YAML::Node& value, const std::string& key, Number& out) {
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &out)) Say(value.Mark(), key, "is not a number");
  }
  void Bool(const YAML::Node& value, const std::string& key, bool& out) {
    if (value.IsScalar() && (value.Scalar() == "true" || value.Scalar() == "false")) {
      out = value.Scalar() == "true";
    } else {
      Say(value.Mark(), key, "is neither true nor false");
    }
  }
  template <typename Span>
  void Range(const YAML::Node& value, const std::string& key, Span& out) {
    const std::pair<std::string, std::string> ends =
        absl::StrSplit(value.IsScalar() ? value.Scalar() : "", absl::MaxSplits('-', 1));
    out.first = out.last = 0;
    const bool good = absl::SimpleAtoi(ends.first, &out.first) &&
                      (ends.second.empty() ? (out.last = out.first, true) : absl::SimpleAtoi(ends.second, &out.last));
    if (!good) Say(value.Mark(), key, "is not a range; write 1024-2047");
  }
  void List(const YAML::Node& value, const std::string& key, const std::function<void(const YAML::Node&)>& item) {
    if (!value.IsSequence()) return Say(value.Mark(), key, "is not a list; write [...]");
    for (const YAML::Node& each : value) item(each);
  }

  void Say(const YAML::Mark& mark, const std::string& key, const std::string& what) {
    failed_ = true;
    fault_(mark, absl::StrCat(field_, key.empty() ? "" : ".", key), what);
  }
  // What validation found: "network.cid_range.first" is said where cid_range is.
  void Say(const std::vector<FieldViolation>& violations, const std::string& prefix) {
    for (const FieldViolation& violation : violations) {
      std::string key = violation.field;
      if (absl::StartsWith(key, prefix)) key = key.substr(prefix.size());
      const auto place = places_.find(key.substr(0, key.find_first_of(".[")));
      Say(place != places_.end() ? place->second : node_.Mark(), key, violation.description);
    }
  }
  bool failed() const { return failed_; }
  const std::string& field() const { return field_; }

 private:
  const YAML::Node node_;
  const std::string field_;
  const YamlNetworks::Fault& fault_;
  std::map<std::string, YAML::Mark> places_;
  bool failed_ = false;
};

std::optional<DefaultPolicy> ParseDefault(const std::string& text) {
  if (text == "shared_group" || text == "shared-group") return DefaultPolicy::kSharedGroup;
  if (text == "allow") return DefaultPolicy::kAllow;
  if (text == "deny") return DefaultPolicy::kDeny;
  return std::nullopt;
}

using ReadQuota = std::function<void(const YAML::Node&, const std::string& field, Quota&)>;

void ReadNetwork(Entry& entry, const ReadQuota& read_quota, NetworkCreation& network) {
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

void ReadSelector(Entry& outer, const YAML::Node& node, const std::string& key, PolicySelector& selector) {
  const YamlNetworks::Fault fault = [&](const YAML::Mark& mark, const std::string& field, const std::string& what) {
    outer.Say(mark, field, what);
  };
  Entry entry(node, key, fault);
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

void ReadPolicy(Entry& entry, PolicyCreation& policy) {
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
    Entry entry(list[i], absl::StrCat("networks[", i, "]"), fault);
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
    Entry entry(list[i], absl::StrCat("policies[", i, "]"), fault);
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
