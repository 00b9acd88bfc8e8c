// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_config.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "server/config/http_settings.h"
#include "server/config/yaml_forwards.h"
#include "server/config/yaml_map.h"
#include "server/config/yaml_networks.h"
#include "server/config/yaml_quota.h"
#include "server/config/yaml_vms.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/model/vm_directory.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

// A file of 16,384 VMs has some 3 MiB; what is larger was given by mistake (a disk image, a log).
constexpr std::streamoff kMaxFileBytes = 16 << 20;

// Walks the document and collects every fault with its place. yaml-cpp reports by exceptions; none leaves this file.
class Reader {
 public:
  explicit Reader(YamlFaults& faults) : faults_(faults) {}

  void Read(const YAML::Node& root);

  YamlConfig config;

 private:
  void ReadApi(const YAML::Node& node);
  void ReadHttp(const YAML::Node& node);
  void ReadCapture(const YAML::Node& node);
  void ReadState(const YAML::Node& node);
  void ReadDaemon(const YAML::Node& node);
  void ReadDefaults(const YAML::Node& node);
  void ReadListen(const YAML::Node& endpoint, YamlMap& map);
  void ReadEndpoint(const YAML::Node& endpoint, const char* key, YamlMap& map, std::vector<std::string>& paths);
  void ReadTls(const YAML::Node& node);
  void ReadRoles(const YAML::Node& node);
  void ReadHolders(const std::string& role, const YAML::Node& node);

  YamlFaults& faults_;
  // Of VMs that do not say them; 0: the daemon's own.
  uint32_t queue_size_ = 0;
  uint32_t tx_buffer_bytes_ = 0;
};

void Reader::Read(const YAML::Node& root) {
  if (root.IsNull()) return;  // an empty file asks for nothing
  if (!root.IsMap())
    return faults_.Add(root.Mark(), "", "the file is not a list of \"key: value\" pairs; begin with \"vms:\"");
  YamlMap map(root, "", faults_);
  map.Read({{"api", [this](const YAML::Node& value) { ReadApi(value); }},
            {"http", [this](const YAML::Node& value) { ReadHttp(value); }},
            {"capture", [this](const YAML::Node& value) { ReadCapture(value); }},
            {"state", [this](const YAML::Node& value) { ReadState(value); }},
            {"daemon", [this](const YAML::Node& value) { ReadDaemon(value); }},
            {"defaults", [this](const YAML::Node& value) { ReadDefaults(value); }},
            {"networks", [this](const YAML::Node& value) { ReadYamlNetworks(value, faults_, config.networks); }},
            {"policies", [this](const YAML::Node& value) { ReadYamlPolicies(value, faults_, config.policies); }},
            {"vms", [this](const YAML::Node& value) { ReadYamlVms(value, faults_, config.vms); }},
            {"forwards", [this](const YAML::Node& value) { ReadYamlForwards(value, faults_, config.forwards); }}});
  for (ConfiguredVm& vm : config.vms) {
    VmSpec& spec = vm.creation.spec;
    if (spec.queue_size == 0) spec.queue_size = queue_size_;
    if (spec.tx_buffer_bytes == 0) spec.tx_buffer_bytes = tx_buffer_bytes_;
  }
}

void Reader::ReadApi(const YAML::Node& node) {
  YamlMap api(node, "api", faults_);
  if (!api.IsMap("\"api: {listen: [...]}\"")) return;
  const auto socket_dir = [&](const YAML::Node& directory) {
    const std::string path = directory.IsScalar() ? UserPath(directory.Scalar()) : "";
    const std::string fault = path == "/" ? "" : SocketPathFault(path, kMaxSocketPathBytes - 2);
    if (!fault.empty()) return api.Say(directory.Mark(), "socket_dirs", fault);
    config.socket_dirs.push_back(path);
  };
  const auto viewer_socket = [&](const YAML::Node& value) {
    ReadEndpoint(value, "viewer_socket", api, config.api_view_sockets);
  };
  api.Read({{"listen",
             [&](const YAML::Node& value) {
               api.List(
                   value, "listen", [&](const YAML::Node& item) { ReadListen(item, api); }, "[\"unix:PATH\"]");
             }},
            {"viewer_socket",
             [&](const YAML::Node& value) {
               if (!value.IsSequence()) return viewer_socket(value);
               for (const YAML::Node& item : value) viewer_socket(item);
             }},
            {"socket_dirs", [&](const YAML::Node& value) { api.List(value, "socket_dirs", socket_dir, "[DIR]"); }},
            {"tls", [&](const YAML::Node& value) { ReadTls(value); }},
            {"roles", [&](const YAML::Node& value) { ReadRoles(value); }}});
}

void Reader::ReadListen(const YAML::Node& endpoint, YamlMap& map) {
  if (!endpoint.IsScalar() || !TcpEndpoint::IsTcp(endpoint.Scalar())) {
    return ReadEndpoint(endpoint, "listen", map, config.api_sockets);
  }
  absl::StatusOr<TcpEndpoint> tcp = TcpEndpoint::Parse(endpoint.Scalar());
  if (!tcp.ok()) return map.Say(endpoint.Mark(), "listen", std::string(tcp.status().message()));
  config.api_tcp.push_back(*std::move(tcp));
}

void Reader::ReadEndpoint(const YAML::Node& endpoint, const char* key, YamlMap& map, std::vector<std::string>& paths) {
  if (!endpoint.IsScalar()) return map.Say(endpoint.Mark(), key, "is or has what is not text; write \"unix:PATH\"");
  absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint.Scalar());
  if (!path.ok()) return map.Say(endpoint.Mark(), key, std::string(path.status().message()));
  paths.push_back(*std::move(path));
}

void Reader::ReadTls(const YAML::Node& node) {
  YamlMap tls(node, "api.tls", faults_);
  if (!tls.IsMap("{cert: FILE, key: FILE, client_ca: FILE}")) return;
  const auto file = [&tls](const char* key, std::string& path) {
    return [&tls, key, &path](const YAML::Node& value) {
      if (!value.IsScalar()) return tls.Say(value.Mark(), key, "is not the name of a file");
      path = UserPath(value.Scalar());
    };
  };
  tls.Read({{"cert", file("cert", config.tls.certificate)},
            {"key", file("key", config.tls.key)},
            {"client_ca", file("client_ca", config.tls.client_ca)}});
}

void Reader::ReadRoles(const YAML::Node& node) {
  YamlMap roles(node, "api.roles", faults_);
  if (!roles.IsMap("{admin: {gids: [NAME]}}")) return;
  // A role that is none is found fault with at the first who is to have it.
  for (const auto& role : node) {
    if (!role.first.IsScalar()) {
      roles.Say(role.first.Mark(), "", "a key is not a word");
    } else {
      ReadHolders(role.first.Scalar(), role.second);
    }
  }
}

void Reader::ReadHolders(const std::string& role, const YAML::Node& node) {
  YamlMap holders(node, "api.roles." + role, faults_);
  if (!holders.IsMap("{uids: [NAME], gids: [NAME], sans: [NAME]}")) return;
  const auto kind = [&](const char* key, const std::string& prefix) {
    return [this, &holders, &role, key, prefix](const YAML::Node& names) {
      const auto add = [&](const YAML::Node& name) {
        const std::string fault =
            !name.IsScalar() ? "has an entry that is not text" : config.api_roles.Add(role, prefix + name.Scalar());
        if (!fault.empty()) holders.Say(name.Mark(), key, fault);
      };
      holders.List(names, key, add, "[NAME]");
    };
  };
  holders.Read({{"uids", kind("uids", "user:")}, {"gids", kind("gids", "group:")}, {"sans", kind("sans", "san:")}});
}

void Reader::ReadHttp(const YAML::Node& node) {
  YamlMap http(node, "http", faults_);
  if (!http.IsMap("\"http: {listen: ENDPOINT}\"")) return;
  const auto set = [&](const char* key, std::string (*setter)(std::string_view, HttpSettings&)) {
    return [this, &http, key, setter](const YAML::Node& value) {
      const std::string fault = value.IsScalar() ? setter(value.Scalar(), config.http) : "is not a single value";
      if (!fault.empty()) http.Say(value.Mark(), key, fault);
    };
  };
  http.Read({{"listen", set("listen", SetHttpEndpoint)},
             {"per_vm_metrics", set("per_vm_metrics", SetPerVmMetrics)},
             {"ui", set("ui", SetHttpUi)}});
}

void Reader::ReadCapture(const YAML::Node& node) {
  YamlMap capture(node, "capture", faults_);
  if (!capture.IsMap("\"capture: {payload: true}\"")) return;
  capture.Read({{"payload", [&](const YAML::Node& value) { capture.Bool(value, "payload", config.capture_payload); }}});
}

void Reader::ReadState(const YAML::Node& node) {
  YamlMap state(node, "state", faults_);
  if (!state.IsMap("\"state: {dir: DIR}\"")) return;
  state.Read({{"dir", [&](const YAML::Node& value) {
                 if (!value.IsScalar()) return state.Say(value.Mark(), "dir", "is not a path");
                 config.state_dir = UserPath(value.Scalar());
               }}});
}

void Reader::ReadDaemon(const YAML::Node& node) {
  YamlMap daemon(node, "daemon", faults_);
  if (!daemon.IsMap("\"daemon: {reactors: 2}\"")) return;
  const auto reactors = [&](const YAML::Node& value) {
    size_t number = 0;
    if (value.IsScalar() && value.Scalar() == "auto") return;
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &number) || number < 1 || number > kMaxReactors) {
      return daemon.Say(value.Mark(), "reactors",
                        absl::StrCat("is not a number from 1 to ", kMaxReactors, ", nor auto"));
    }
    config.reactors = number;
  };
  const auto poll = [&](const YAML::Node& value) {
    uint32_t number = 0;
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &number) || number > kMaxPollUs) {
      return daemon.Say(value.Mark(), "poll_us", absl::StrCat("is not a number from 0 to ", kMaxPollUs));
    }
    config.poll = std::chrono::microseconds(number);
  };
  const auto log_format = [&](const YAML::Node& value) {
    const std::string format = value.IsScalar() ? value.Scalar() : "";
    if (format != "kv" && format != "json") return daemon.Say(value.Mark(), "log_format", "is neither kv nor json");
    config.log_format = format == "json" ? LogFormat::kJson : LogFormat::kKeyValue;
  };
  daemon.Read({{"reactors", reactors}, {"poll_us", poll}, {"log_format", log_format}});
}

void Reader::ReadDefaults(const YAML::Node& node) {
  YamlMap defaults(node, "defaults", faults_);
  if (!defaults.IsMap("\"defaults: {quota: {...}}\"")) return;
  const auto socket_dir = [&](const YAML::Node& value) {
    const std::string path = value.IsScalar() ? UserPath(value.Scalar()) : "";
    const std::string fault = SocketPathFault(path, kMaxSocketPathBytes - DefaultVmSocket("", "a").size());
    if (!fault.empty()) return defaults.Say(value.Mark(), "socket_dir", fault);
    config.vm_socket_dir = path;
  };
  defaults.Read(
      {{"quota", [&](const YAML::Node& value) { ReadYamlQuota(value, "defaults.quota", faults_, config.quota); }},
       {"socket_dir", socket_dir},
       {"queue_size", [&](const YAML::Node& value) { defaults.ReadNumber(value, "queue_size", queue_size_); }},
       {"tx_buffer_size",
        [&](const YAML::Node& value) { defaults.ReadNumber(value, "tx_buffer_size", tx_buffer_bytes_); }}});
  // By the rules of VMs, of which there may be none.
  VmCreation sizes{.id = "sizes"};
  sizes.spec.queue_size = queue_size_;
  sizes.spec.tx_buffer_bytes = tx_buffer_bytes_;
  for (const FieldViolation& violation : CheckVm(sizes)) {
    defaults.SayOfKey(violation.field == "vm.spec.queue_size" ? "queue_size" : "tx_buffer_size", violation.description);
  }
}

}  // namespace

YamlConfig ParseYamlConfig(const std::string& yaml, const std::string& file, std::vector<ConfigProblem>& problems) {
  YamlFaults faults(file);
  Reader reader(faults);
  try {
    reader.Read(YAML::Load(yaml));
  } catch (const YAML::Exception& error) {
    faults.Add(error.mark, "", absl::StrCat("is not YAML: ", error.msg));
  }
  for (ConfigProblem& problem : faults.Take()) problems.push_back(std::move(problem));
  return std::move(reader.config);
}

absl::StatusOr<YamlConfig> ParseYamlConfig(const std::string& yaml, const std::string& file) {
  std::vector<ConfigProblem> problems;
  YamlConfig config = ParseYamlConfig(yaml, file, problems);
  if (problems.empty()) return config;
  return absl::InvalidArgumentError(absl::StrJoin(
      problems, "\n", [](std::string* out, const ConfigProblem& problem) { *out += problem.ToString(); }));
}

YamlConfig LoadYamlConfig(const std::string& path, std::vector<ConfigProblem>& problems) {
  // Whoever opens a pipe waits for its other end.
  std::error_code error;
  if (const auto status = std::filesystem::status(path, error);
      std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    problems.push_back({path, "", "the configuration file is no file but something else"});
    return {};
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  std::string text(file && size >= 0 && size <= kMaxFileBytes ? static_cast<size_t>(size) : 0, '\0');
  if (file && size > kMaxFileBytes) {
    problems.push_back({path, "", absl::StrCat("has ", size, " bytes, a configuration file at most ", kMaxFileBytes)});
    return {};
  }
  file.seekg(0);
  if (!file || size < 0 || !file.read(text.data(), size)) {
    problems.push_back(
        {path, "", absl::StrCat("the configuration file cannot be read: ", strerror(errno != 0 ? errno : EIO))});
    return {};
  }
  return ParseYamlConfig(text, path, problems);
}

}  // namespace kinsock
