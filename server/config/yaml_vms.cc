// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_vms.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/config/yaml_quota.h"
#include "server/config/yaml_socket_access.h"
#include "server/model/vm_settings.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

// As many as a daemon has (VmManager).
constexpr size_t kMaxYamlVms = 16384;

// One of three sources, each with its port.
void ReadReadiness(const YAML::Node& node, const std::string& field, YamlFaults& faults, Readiness& readiness) {
  if (!node.IsMap() || node.size() != 1) {
    return faults.Add(
        node.Mark(), field,
        "is not one source; write {guest_connects_port: N}, {probe_guest_port: N} or {sd_notify_port: N}");
  }
  YamlMap map(node, field, faults);
  const auto source = [&](const char* key, Readiness::Source which) {
    return [&map, &readiness, key, which](const YAML::Node& value) {
      readiness.source = which;
      if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &readiness.port)) {
        map.Say(value.Mark(), key, "is not a port");
      }
    };
  };
  map.Read({{"guest_connects_port", source("guest_connects_port", Readiness::Source::kGuestConnects)},
            {"probe_guest_port", source("probe_guest_port", Readiness::Source::kProbe)},
            {"sd_notify_port", source("sd_notify_port", Readiness::Source::kNotify)}},
           "a source");
}

// The value of a setting as it would stand on a command line; `groups` and `forward_listen` may be lists.
bool SettingText(const YAML::Node& value, std::string_view key, YamlMap& map, std::string& text) {
  if (value.IsScalar()) {
    text = value.Scalar();
    return true;
  }
  const bool list = (key == "groups" || key == "forward_listen") && value.IsSequence();
  std::vector<std::string> items;
  for (size_t i = 0; list && i < value.size(); ++i) {
    if (value[i].IsScalar()) items.push_back(value[i].Scalar());
  }
  if (list && items.size() == value.size()) {
    text = absl::StrJoin(items, "+");
    return true;
  }
  map.Say(value.Mark(), key, list ? "has an entry that is not text" : "is not a single value");
  return false;
}

void ReadOrphanTtl(const YAML::Node& value, YamlMap& map, VmSpec& spec) {
  map.Time(value, "orphan_ttl", spec.orphan_ttl);
  if (spec.orphan_ttl > kMaxOrphanTtl) {
    map.Say(value.Mark(), "orphan_ttl", absl::StrCat("is not from 0 to ", kMaxOrphanTtl.count(), " hours"));
  }
}

void ReadVm(YamlMap& map, YamlFaults& faults, VmCreation& vm) {
  bool sticky = false;
  YamlMap::Readers readers{
      {"labels", [&](const YAML::Node& value) { map.Texts(value, "labels", vm.labels); }},
      {"annotations", [&](const YAML::Node& value) { map.Texts(value, "annotations", vm.annotations); }},
      {"sticky_cid", [&](const YAML::Node& value) { map.Bool(value, "sticky_cid", sticky); }},
      {"orphan_ttl", [&](const YAML::Node& value) { ReadOrphanTtl(value, map, vm.spec); }},
      {"allow_seqpacket",
       [&](const YAML::Node& value) { map.Bool(value, "allow_seqpacket", vm.spec.allow_seqpacket.emplace()); }},
      {"quota", [&](const YAML::Node& value) { ReadYamlQuota(value, map.FieldOf("quota"), faults, vm.spec.quota); }},
      {"readiness",
       [&](const YAML::Node& value) { ReadReadiness(value, map.FieldOf("readiness"), faults, vm.spec.readiness); }},
      {"socket_access", [&](const YAML::Node& value) {
         YamlMap access(value, map.FieldOf("socket_access"), faults);
         if (!access.IsMap("{group: kvm, mode: \"0660\"}")) return;
         access.Read(SocketAccessReaders(access, vm.spec.socket_access));
       }}};
  for (const std::string_view key : VmSettingKeys()) {
    readers[key] = [&map, &vm, key](const YAML::Node& value) {
      std::string text;
      if (!SettingText(value, key, map, text)) return;
      const std::string fault = ApplyVmSetting(key, text, vm);
      if (!fault.empty()) map.Say(value.Mark(), key, fault);
    };
  }
  map.Read(readers, "a setting of a VM");
  if (!sticky || map.failed()) return;
  if (vm.spec.cid.kind == CidRequest::Kind::kFixed) {
    return map.SayOfKey("sticky_cid", "is of no use with a fixed guest_cid; take it out, or let the daemon choose");
  }
  vm.spec.cid.sticky = true;
}

// One that makes sense is added to `vms`.
void ReadEntry(const YAML::Node& node, const std::string& field, YamlFaults& faults, std::vector<ConfiguredVm>& vms) {
  if (!node.IsMap()) {
    return faults.Add(node.Mark(), field, "is not a VM; write \"- guest_cid: 3\" and so on");
  }
  ConfiguredVm vm{DefaultVm(), faults.Place(node.Mark())};
  YamlMap map(node, field, faults);
  ReadVm(map, faults, vm.creation);
  if (map.failed()) return;
  NameVm(vm.creation);
  if (vm.creation.id.empty()) {
    return map.Say(node.Mark(), "", "has neither a name nor a fixed guest_cid to be named after; give it a name");
  }
  for (const FieldViolation& violation : CheckVm(vm.creation)) {
    map.SayOfKey(SettingOfField(violation.field), violation.description);
  }
  vms.push_back(std::move(vm));
}

}  // namespace

void ReadYamlVms(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredVm>& vms) {
  if (list.IsNull()) return;
  if (!list.IsSequence()) return faults.Add(list.Mark(), "vms", "is not a list; begin each VM with \"- \"");
  if (list.size() > kMaxYamlVms) {
    return faults.Add(list.Mark(), "vms",
                      absl::StrCat("has ", list.size(), " VMs, a daemon at most ", kMaxYamlVms, "; run another one"));
  }
  for (size_t i = 0; i < list.size(); ++i) ReadEntry(list[i], absl::StrCat("vms[", i, "]"), faults, vms);
}

}  // namespace kinsock
