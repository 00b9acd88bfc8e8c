// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_forwards.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/yaml_socket_access.h"
#include "server/host/runtime_dir.h"
#include "server/model/forward_validation.h"
#include "server/model/network_validation.h"

namespace kinsock {
namespace {

// As many as a daemon has (ForwardManager).
constexpr size_t kMaxYamlForwards = 16384;

void ReadAddress(YamlMap& entry, const YAML::Node& value, const char* key, Forward::Direction direction,
                 ForwardSpec& spec, std::string& out) {
  entry.Text(value, key, out);
  if (!spec.direction.has_value()) spec.direction = direction;
  if (!absl::StartsWith(out, "unix:")) return;
  const absl::StatusOr<std::string> path = ParseUnixEndpoint(out);
  if (!path.ok()) return entry.Say(value.Mark(), key, std::string(path.status().message()));
  out = "unix:" + *path;
}

void ReadForward(YamlMap& entry, ForwardCreation& forward) {
  ForwardSpec& spec = forward.spec;
  YamlMap::Readers readers = SocketAccessReaders(entry, spec.access);
  readers.merge(YamlMap::Readers{
      {"name", [&](const YAML::Node& value) { entry.Text(value, "name", forward.id); }},
      {"vm",
       [&](const YAML::Node& value) {
         entry.Text(value, "vm", spec.vm);
         if (!absl::StartsWith(spec.vm, "vms/")) spec.vm = "vms/" + spec.vm;
       }},
      {"guest_port", [&](const YAML::Node& value) { entry.ReadNumber(value, "guest_port", spec.guest_port); }},
      {"listen",
       [&](const YAML::Node& value) {
         ReadAddress(entry, value, "listen", Forward::Direction::kToGuest, spec, spec.listen);
       }},
      {"target",
       [&](const YAML::Node& value) {
         ReadAddress(entry, value, "target", Forward::Direction::kFromGuest, spec, spec.target);
       }},
      {"send_proxy_v2", [&](const YAML::Node& value) { entry.Bool(value, "send_proxy_v2", spec.send_proxy_v2); }}});
  entry.Read(readers);
}

}  // namespace

void ReadYamlForwards(const YAML::Node& list, YamlFaults& faults, std::vector<ConfiguredForward>& forwards) {
  const auto read = [&](YamlMap& entry, size_t) {
    ConfiguredForward forward{{}, faults.Place(entry.mark())};
    ReadForward(entry, forward.creation);
    if (entry.failed()) return;
    std::vector<FieldViolation> violations = CheckForward(forward.creation.spec);
    CheckId(forward.creation.id, "name", violations);
    for (FieldViolation& violation : violations) {
      // As the file calls them.
      if (violation.field == "forward.direction") violation = {"forward.listen", "is missing, and so is target"};
      constexpr absl::string_view kAccess = "forward.socket_access.";
      if (absl::StartsWith(violation.field, kAccess)) violation.field = violation.field.substr(kAccess.size());
      if (violation.field == "forward.socket_access") violation.field = "mode";
    }
    entry.Say(violations, "forward.");
    forwards.push_back(std::move(forward));
  };
  ForEachYamlEntry(list, "forwards", "{name: ssh, vm: web-1, guest_port: 22, listen: \"unix:PATH\"}", kMaxYamlForwards,
                   faults, read);
}

}  // namespace kinsock
