// SPDX-License-Identifier: Apache-2.0
#include "server/yaml_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "server/error.h"
#include "server/runtime_dir.h"
#include "server/socket_path.h"
#include "server/text.h"
#include "server/vm_settings.h"
#include "server/vm_validation.h"
#include "server/yaml_networks.h"

namespace kinsock {
namespace {

// A file of 16,384 VMs has some 3 MiB; what is larger was given by mistake (a disk image, a log).
constexpr std::streamoff kMaxFileBytes = 16 << 20;

// Walks the document and collects every fault with its place. yaml-cpp reports by exceptions; none leaves this file.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {
    networks_.read_quota = [this](const YAML::Node& node, const std::string& field, Quota& quota) {
      ReadQuota(node, field, quota);
    };
  }

  void Read(const YAML::Node& root);

  YamlConfig config;
  std::vector<std::string> faults;

 private:
  using OnEntry = std::function<void(const YAML::Node& key, const YAML::Node& value)>;

  void ForEachEntry(const YAML::Node& map, const std::string& field, const OnEntry& on_entry);
  void ReadApi(const YAML::Node& api);
  void ReadHttp(const YAML::Node& http);
  void ReadState(const YAML::Node& state);
  void ReadDefaults(const YAML::Node& defaults);
  void ReadQuota(const YAML::Node& node, const std::string& field, Quota& quota);
  void ReadReadiness(const YAML::Node& node, const std::string& field, Readiness& readiness);
  void ReadRate(const YAML::Node& node, const std::string& field, Rate& rate);
  void ReadEndpoint(const YAML::Node& endpoint, const std::string& field, std::vector<std::string>& paths);
  void ReadSocketDirs(const YAML::Node& directories);
  void ReadTls(const YAML::Node& tls);
  void ReadRoles(const YAML::Node& roles);
  void ReadVm(const YAML::Node& node, const std::string& field);
  std::string SettingText(const std::string& key, const YAML::Node& value, const std::string& field);

  std::string At(const YAML::Mark& mark) const { return absl::StrCat(file_, ":", mark.line + 1, ":", mark.column + 1); }
  void Fault(const YAML::Mark& mark, const std::string& field, const std::string& what) {
    faults.push_back(absl::StrCat(At(mark), ": ", field, field.empty() ? "" : ": ", what));
  }

  const std::string file_;
  YamlNetworks networks_;
};

void Reader::ForEachEntry(const YAML::Node& map, const std::string& field, const OnEntry& on_entry) {
  std::map<std::string, YAML::Mark> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      Fault(entry.first.Mark(), field, "a key is not a word");
      continue;
    }
    const std::string key = NormalSettingKey(entry.first.Scalar());
    const auto [first, is_new] = seen.emplace(key, entry.first.Mark());
    if (is_new) {
      on_entry(entry.first, entry.second);
    } else {
      Fault(entry.first.Mark(), absl::StrCat(field, field.empty() ? "" : ".", key),
            absl::StrCat("was said already in line ", first->second.line + 1, "; keep one of them"));
    }
  }
}

void Reader::Read(const YAML::Node& root) {
  if (root.IsNull()) return;  // an empty file asks for nothing
  if (!root.IsMap())
    return Fault(root.Mark(), "", "the file is not a list of \"key: value\" pairs; begin with \"vms:\"");
  ForEachEntry(root, "", [this](const YAML::Node& key, const YAML::Node& value) {
    const std::string& name = key.Scalar();
    if (name == "api") return ReadApi(value);
    if (name == "http") return ReadHttp(value);
    if (name == "state") return ReadState(value);
    const auto fault = [this](const YAML::Mark& mark, const std::string& field, const std::string& what) {
      Fault(mark, field, what);
    };
    const auto place = [this](const YAML::Mark& mark) { return At(mark); };
    if (name == "networks") return networks_.ReadNetworks(value, fault, place);
    if (name == "policies") return networks_.ReadPolicies(value, fault, place);
    if (name == "defaults") return ReadDefaults(value);
    if (name != "vms") {
      const std::string hint = DidYouMean(name, {"vms", "api", "http", "state", "networks", "policies", "defaults"});
      return Fault(key.Mark(), name, absl::StrCat("is not a setting", hint));
    }
    if (value.IsNull()) return;
    if (!value.IsSequence()) return Fault(value.Mark(), "vms", "is not a list; begin each VM with \"- \"");
    for (size_t i = 0; i < value.size(); ++i) ReadVm(value[i], absl::StrCat("vms[", i, "]"));
  });
  config.networks = std::move(networks_.networks);
  config.policies = std::move(networks_.policies);
}

void Reader::ReadApi(const YAML::Node& api) {
  if (!api.IsMap()) return Fault(api.Mark(), "api", "is not a map; write \"api: {listen: [...]}\"");
  ForEachEntry(api, "api", [this](const YAML::Node& key, const YAML::Node& value) {
    const std::string name = NormalSettingKey(key.Scalar());
    if (name == "roles") return ReadRoles(value);
    if (name == "tls") return ReadTls(value);
    if (name == "socket_dirs") return ReadSocketDirs(value);
    if (name == "viewer_socket") return ReadEndpoint(value, "api.viewer_socket", config.api_view_sockets);
    if (name != "listen") {
      return Fault(key.Mark(), "api." + key.Scalar(),
                   absl::StrCat("is not a setting",
                                DidYouMean(key.Scalar(), {"listen", "viewer_socket", "tls", "roles", "socket_dirs"})));
    }
    if (!value.IsSequence()) return Fault(value.Mark(), "api.listen", "is not a list; write [\"unix:PATH\"]");
    for (const YAML::Node& endpoint : value) {
      if (!endpoint.IsScalar() || !TcpEndpoint::IsTcp(endpoint.Scalar())) {
        ReadEndpoint(endpoint, "api.listen", config.api_sockets);
        continue;
      }
      absl::StatusOr<TcpEndpoint> tcp = TcpEndpoint::Parse(endpoint.Scalar());
      if (!tcp.ok()) {
        Fault(endpoint.Mark(), "api.listen", std::string(tcp.status().message()));
      } else {
        config.api_tcp.push_back(*std::move(tcp));
      }
    }
  });
}

void Reader::ReadHttp(const YAML::Node& http) {
  if (!http.IsMap()) return Fault(http.Mark(), "http", "is not a map; write \"http: {listen: ENDPOINT}\"");
  ForEachEntry(http, "http", [this](const YAML::Node& key, const YAML::Node& value) {
    const std::string name = NormalSettingKey(key.Scalar());
    const std::string field = absl::StrCat("http.", key.Scalar());
    if (name != "listen" && name != "per_vm_metrics") {
      return Fault(key.Mark(), field,
                   absl::StrCat("is not a setting", DidYouMean(key.Scalar(), {"listen", "per_vm_metrics"})));
    }
    if (!value.IsScalar()) return Fault(value.Mark(), field, "is not a single value");
    const std::string fault =
        name == "listen" ? SetHttpEndpoint(value.Scalar(), config.http) : SetPerVmMetrics(value.Scalar(), config.http);
    if (!fault.empty()) Fault(value.Mark(), field, fault);
  });
}

void Reader::ReadState(const YAML::Node& state) {
  if (!state.IsMap()) return Fault(state.Mark(), "state", "is not a map; write \"state: {dir: DIR}\"");
  ForEachEntry(state, "state", [this](const YAML::Node& key, const YAML::Node& value) {
    if (key.Scalar() != "dir") {
      return Fault(key.Mark(), "state." + key.Scalar(),
                   absl::StrCat("is not a setting", DidYouMean(key.Scalar(), {"dir"})));
    }
    if (!value.IsScalar()) return Fault(value.Mark(), "state.dir", "is not a path");
    config.state_dir = UserPath(value.Scalar());
  });
}

void Reader::ReadDefaults(const YAML::Node& defaults) {
  if (!defaults.IsMap()) return Fault(defaults.Mark(), "defaults", "is not a map; write \"defaults: {quota: {...}}\"");
  ForEachEntry(defaults, "defaults", [this](const YAML::Node& key, const YAML::Node& value) {
    if (key.Scalar() != "quota") {
      return Fault(key.Mark(), "defaults." + key.Scalar(),
                   absl::StrCat("is not a setting", DidYouMean(key.Scalar(), {"quota"})));
    }
    ReadQuota(value, "defaults.quota", config.quota);
  });
}

void Reader::ReadQuota(const YAML::Node& node, const std::string& field, Quota& quota) {
  if (!node.IsMap()) return Fault(node.Mark(), field, "is not a map; write {max_connections: N}");
  const size_t faults_before = faults.size();
  ForEachEntry(node, field, [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string name = NormalSettingKey(key.Scalar());
    const std::string full = absl::StrCat(field, ".", key.Scalar());
    const std::map<std::string, Rate*> rates{{"connects_per_second", &quota.connects_per_second},
                                             {"bytes_to_guest", &quota.bytes_to_guest},
                                             {"bytes_from_guest", &quota.bytes_from_guest},
                                             {"packets_from_guest", &quota.packets_from_guest}};
    if (const auto rate = rates.find(name); rate != rates.end()) return ReadRate(value, full, *rate->second);
    const auto number = [&](auto& into) {
      if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &into)) Fault(value.Mark(), full, "is not a number");
    };
    if (name == "max_connections") return number(quota.max_connections);
    if (name == "max_pending_connections") return number(quota.max_pending_connections);
    if (name == "max_buffer_bytes") return number(quota.max_buffer_bytes);
    Fault(key.Mark(), full,
          absl::StrCat("is not a limit", DidYouMean(name, {kQuotaFields.begin(), kQuotaFields.end()})));
  });
  if (faults.size() > faults_before) return;
  std::vector<FieldViolation> violations;
  CheckQuota(quota, field, violations);
  for (const FieldViolation& violation : violations) Fault(node.Mark(), violation.field, violation.description);
}

// One of three sources, each with its port.
void Reader::ReadReadiness(const YAML::Node& node, const std::string& field, Readiness& readiness) {
  const std::map<std::string, Readiness::Source> sources{{"guest_connects_port", Readiness::Source::kGuestConnects},
                                                         {"probe_guest_port", Readiness::Source::kProbe},
                                                         {"sd_notify_port", Readiness::Source::kNotify}};
  if (!node.IsMap() || node.size() != 1) {
    return Fault(node.Mark(), field,
                 "is not one source; write {guest_connects_port: N}, {probe_guest_port: N} or {sd_notify_port: N}");
  }
  ForEachEntry(node, field, [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string full = absl::StrCat(field, ".", key.Scalar());
    const auto source = sources.find(NormalSettingKey(key.Scalar()));
    if (source == sources.end()) {
      std::vector<std::string_view> known;
      for (const auto& [name, unused] : sources) known.push_back(name);
      return Fault(key.Mark(), full, absl::StrCat("is not a source", DidYouMean(key.Scalar(), known)));
    }
    readiness.source = source->second;
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &readiness.port)) {
      Fault(value.Mark(), full, "is not a port");
    }
  });
}

// A number, or {rate: N, burst: N}.
void Reader::ReadRate(const YAML::Node& node, const std::string& field, Rate& rate) {
  if (node.IsScalar() && absl::SimpleAtoi(node.Scalar(), &rate.per_second)) return;
  if (!node.IsMap()) return Fault(node.Mark(), field, "is neither a number nor {rate: N, burst: N}");
  ForEachEntry(node, field, [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string full = absl::StrCat(field, ".", key.Scalar());
    const bool is_rate = key.Scalar() == "rate";
    if (!is_rate && key.Scalar() != "burst") {
      return Fault(key.Mark(), full,
                   absl::StrCat("is not part of a rate", DidYouMean(key.Scalar(), {"rate", "burst"})));
    }
    uint64_t& into = is_rate ? rate.per_second : rate.burst;
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &into)) Fault(value.Mark(), full, "is not a number");
  });
}

void Reader::ReadEndpoint(const YAML::Node& endpoint, const std::string& field, std::vector<std::string>& paths) {
  if (!endpoint.IsScalar()) return Fault(endpoint.Mark(), field, "is or has what is not text; write \"unix:PATH\"");
  absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint.Scalar());
  if (!path.ok()) return Fault(endpoint.Mark(), field, std::string(path.status().message()));
  paths.push_back(*std::move(path));
}

void Reader::ReadSocketDirs(const YAML::Node& directories) {
  const std::string field = "api.socket_dirs";
  if (!directories.IsSequence()) return Fault(directories.Mark(), field, "is not a list; write [DIR]");
  for (const YAML::Node& directory : directories) {
    const std::string path = directory.IsScalar() ? UserPath(directory.Scalar()) : "";
    const std::string fault = path == "/" ? "" : SocketPathFault(path, kMaxSocketPathBytes - 2);
    if (!fault.empty()) {
      Fault(directory.Mark(), field, fault);
    } else {
      config.socket_dirs.push_back(path);
    }
  }
}

void Reader::ReadTls(const YAML::Node& tls) {
  if (!tls.IsMap()) return Fault(tls.Mark(), "api.tls", "is not a map; write {cert: FILE, key: FILE, client_ca: FILE}");
  const std::map<std::string, std::string*> files{
      {"cert", &config.tls.certificate}, {"key", &config.tls.key}, {"client_ca", &config.tls.client_ca}};
  ForEachEntry(tls, "api.tls", [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string field = "api.tls." + key.Scalar();
    const auto file = files.find(NormalSettingKey(key.Scalar()));
    if (file == files.end()) {
      return Fault(key.Mark(), field,
                   absl::StrCat("is not a setting", DidYouMean(key.Scalar(), {"cert", "key", "client_ca"})));
    }
    if (!value.IsScalar()) return Fault(value.Mark(), field, "is not the name of a file");
    *file->second = UserPath(value.Scalar());
  });
}

void Reader::ReadRoles(const YAML::Node& roles) {
  if (!roles.IsMap()) return Fault(roles.Mark(), "api.roles", "is not a map; write {admin: {gids: [NAME]}}");
  ForEachEntry(roles, "api.roles", [this](const YAML::Node& role, const YAML::Node& holders) {
    const std::string field = "api.roles." + role.Scalar();
    if (!holders.IsMap())
      return Fault(holders.Mark(), field, "is not a map; write {uids: [NAME], gids: [NAME], sans: [NAME]}");
    ForEachEntry(holders, field, [&](const YAML::Node& key, const YAML::Node& names) {
      const std::string holder_field = absl::StrCat(field, ".", key.Scalar());
      const std::map<std::string, std::string> kinds{{"uids", "user"}, {"gids", "group"}, {"sans", "san"}};
      const auto kind = kinds.find(key.Scalar());
      if (kind == kinds.end()) {
        return Fault(key.Mark(), holder_field,
                     absl::StrCat("is not a setting", DidYouMean(key.Scalar(), {"uids", "gids", "sans"})));
      }
      if (!names.IsSequence()) return Fault(names.Mark(), holder_field, "is not a list; write [NAME]");
      for (const YAML::Node& name : names) {
        const std::string fault = !name.IsScalar()
                                      ? "has an entry that is not text"
                                      : config.api_roles.Add(role.Scalar(), kind->second + ":" + name.Scalar());
        if (!fault.empty()) Fault(name.Mark(), holder_field, fault);
      }
    });
  });
}

// The value of a VM's setting as it would stand on a command line; `groups` and `forward_listen` may be lists.
std::string Reader::SettingText(const std::string& key, const YAML::Node& value, const std::string& field) {
  if (value.IsScalar()) return value.Scalar();
  std::vector<std::string> items;
  const bool list = (key == "groups" || key == "forward_listen") && value.IsSequence();
  for (size_t i = 0; list && i < value.size(); ++i) {
    if (value[i].IsScalar()) items.push_back(value[i].Scalar());
  }
  if (list && items.size() == value.size()) return absl::StrJoin(items, "+");
  Fault(value.Mark(), field, list ? "has an entry that is not text" : "is not a single value");
  return "";
}

void Reader::ReadVm(const YAML::Node& node, const std::string& field) {
  if (!node.IsMap()) return Fault(node.Mark(), field, "is not a VM; write \"- guest_cid: 3\" and so on");
  const size_t faults_before = faults.size();
  ConfiguredVm vm{DefaultVm(), At(node.Mark())};
  std::map<std::string, YAML::Mark> places;
  ForEachEntry(node, field, [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string name = NormalSettingKey(key.Scalar());
    const std::string full = absl::StrCat(field, ".", key.Scalar());
    const size_t before = faults.size();
    if (name == "quota") return ReadQuota(value, full, vm.creation.spec.quota);
    if (name == "readiness") return ReadReadiness(value, full, vm.creation.spec.readiness);
    const std::string text = SettingText(name, value, full);
    if (faults.size() > before) return;
    places[name] = value.Mark();
    const std::string fault = ApplyVmSetting(name, text, vm.creation);
    const auto& keys = VmSettingKeys();
    const bool known = std::find(keys.begin(), keys.end(), name) != keys.end();
    if (!fault.empty()) Fault(known ? value.Mark() : key.Mark(), full, fault);
  });
  if (faults.size() > faults_before) return;
  NameVm(vm.creation);
  if (vm.creation.id.empty()) {
    return Fault(node.Mark(), field, "has neither a name nor a fixed guest_cid to be named after; give it a name");
  }
  for (const FieldViolation& violation : CheckVm(vm.creation)) {
    const std::string setting = SettingOfField(violation.field);
    const auto place = places.find(setting);
    Fault(place != places.end() ? place->second : node.Mark(), absl::StrCat(field, ".", setting),
          violation.description);
  }
  config.vms.push_back(std::move(vm));
}

}  // namespace

absl::StatusOr<YamlConfig> ParseYamlConfig(const std::string& yaml, const std::string& file) {
  Reader reader(file);
  try {
    reader.Read(YAML::Load(yaml));
  } catch (const YAML::Exception& error) {
    reader.faults.push_back(
        absl::StrCat(file, ":", error.mark.line + 1, ":", error.mark.column + 1, ": is not YAML: ", error.msg));
  }
  if (reader.faults.empty()) reader.faults = FindClashes(reader.config.vms);
  if (!reader.faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(reader.faults, "\n"));
  return std::move(reader.config);
}

absl::StatusOr<YamlConfig> LoadYamlConfig(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (!file || size < 0) {
    return absl::ErrnoToStatus(errno != 0 ? errno : EIO, absl::StrCat(path, ": the configuration file cannot be read"));
  }
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has ", size, " bytes, a configuration file at most ", kMaxFileBytes));
  }
  std::string text(static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(text.data(), size)) {
    return absl::ErrnoToStatus(errno != 0 ? errno : EIO, absl::StrCat(path, ": the configuration file cannot be read"));
  }
  return ParseYamlConfig(text, path);
}

}  // namespace kinsock
