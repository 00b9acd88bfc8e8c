// SPDX-License-Identifier: Apache-2.0
#include "server/config/flag_config.h"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/man_page.h"
#include "base/text.h"
#include "base/version.h"
#include "server/config/config_yaml.h"
#include "server/config/yaml_config.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/model/vm_settings.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr size_t kMaxDefaultReactors = 4;
constexpr std::chrono::microseconds kDefaultPoll{20};  // docs/adr/0010-polling.md

// The flags as they were given; empty, none: not given.
struct Flags {
  std::string config_file;
  std::vector<std::string> vms;
  std::map<std::string, std::string> single_vm;  // setting -> value
  std::vector<std::string> api;
  std::vector<std::string> api_view;
  std::vector<std::string> api_roles;
  std::vector<std::string> socket_dirs;
  TlsFiles tls;
  std::string state_dir;
  std::string reactors;
  std::optional<uint32_t> poll_us;
  std::string http;
  std::string per_vm_metrics;
  std::string http_ui;
  bool capture_payload = false;
  std::string log_format;
  bool check = false;
  bool print_config = false;
  bool version = false;
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option("--config", flags.config_file, "YAML file with VMs and settings")->option_text("FILE");
  app.add_option("--vm", flags.vms,
                 "A VM: guest-cid=..,socket=..,uds-path=..,groups=a+b,tx-buffer-size=..,queue-size=..,name=.., with "
                 "forward-cid=..,forward-listen=9001+9002 in place of uds-path (may be repeated)")
      ->option_text("KEY=VALUE,...")
      ->allow_extra_args(false);
  const auto single = [&](const char* flag, const char* value, const char* help) {
    app.add_option_function<std::string>(
           flag, [&flags, flag](const std::string& text) { flags.single_vm[NormalSettingKey(flag + 2)] = text; }, help)
        ->option_text(value);
  };
  single("--guest-cid", "CID", "The VM's CID (3), or auto");
  single("--socket", "PATH", "Its vhost-user socket, for the VMM");
  single("--uds-path", "PATH", "Its UNIX socket for host programs");
  single("--forward-cid", "CID",
         "In place of --uds-path: the guest's calls to the host go to this CID of the host's AF_VSOCK; 1 is the host "
         "itself (vsock_loopback)");
  single("--forward-listen", "PORTS",
         "With --forward-cid: AF_VSOCK ports of the host that stand for the guest's, 9001+9002");
  single("--tx-buffer-size", "BYTES", "Window of each connection to the host (65536)");
  single("--queue-size", "N", "Largest virtqueue (1024)");
  single("--groups", "A+B", "Siblings share at least one (default)");
  app.add_option("--api", flags.api,
                 "Where to serve the gRPC API; the default, when no VM is given here, is unix:" + DefaultApiSocket())
      ->option_text("unix:PATH|tcp:ADDRESS:PORT")
      ->allow_extra_args(false);
  app.add_option(
         "--tls-cert", flags.tls.certificate,
         "For --api tcp: the daemon's certificate and those that vouch for it (PEM); read again when it changes")
      ->option_text("FILE");
  app.add_option("--tls-key", flags.tls.key, "Its private key")->option_text("FILE");
  app.add_option(
         "--tls-client-ca", flags.tls.client_ca,
         "The authorities whose certificates clients must have; the role is that of a name in it, see --api-role")
      ->option_text("FILE");
  app.add_option("--api-view", flags.api_view, "Where to serve it to look only: nobody is more than a viewer there")
      ->option_text("unix:PATH")
      ->allow_extra_args(false);
  app.add_option(
         "--api-role", flags.api_roles,
         "Who may do what in the API besides root and the daemon's own user, who are admins: "
         "viewer|operator|admin=user:NAME|group:NAME, or san:NAME of a client's certificate (may be repeated); user "
         "and group open the sockets to other users, whose role is then asked for")
      ->option_text("ROLE=WHO")
      ->allow_extra_args(false);
  app.add_option("--state-dir", flags.state_dir,
                 "Where VMs that are created through the API are kept, so that they are there again after a restart; "
                 "by default they are not (docs/state.md)")
      ->option_text("DIR");
  app.add_option(
         "--socket-dir", flags.socket_dirs,
         "API clients may have sockets made below this directory and the runtime directory only (may be repeated); "
         "by default wherever the daemon can make them")
      ->option_text("DIR")
      ->allow_extra_args(false);
  app.add_option("--reactors", flags.reactors, "Threads that move packets; auto: one for two CPUs, at most 4")
      ->option_text("N|auto");
  app.add_option("--poll-us", flags.poll_us,
                 "Microseconds that such a thread looks for more packets before it sleeps, at most; it learns how long "
                 "is worth it (20)")
      ->check(CLI::Range(uint32_t{0}, kMaxPollUs))
      ->option_text("N");
  app.add_option(
         "--http", flags.http,
         "Where to serve metrics, health and a page to look at over HTTP, to whoever reaches it; by default nowhere "
         "(docs/observability.md)")
      ->option_text("unix:PATH|tcp:127.0.0.1:PORT");
  app.add_option("--per-vm-metrics", flags.per_vm_metrics,
                 "How many metrics each VM has besides those of the daemon (full)")
      ->option_text("full|basic|off");
  app.add_option("--http-ui", flags.http_ui,
                 "Whether the page, and the JSON that it reads, is served besides metrics and health (on)")
      ->option_text("on|off");
  app.add_flag("--capture-payload", flags.capture_payload,
               "Admins may capture what is said on connections; else packets are captured without their payload");
  app.add_option("--log-format", flags.log_format, "Of the lines on standard error")->option_text("kv|json");
  app.add_flag(
      "--check", flags.check,
      "Say whether the configuration is good, and whether what it names is there, and end: 0 if it is, else 2");
  app.add_flag("--print-config", flags.print_config,
               "Print the configuration as it is with all flags, files and defaults, as a file for --config, and end");
  app.add_flag("--version", flags.version, "Print the version");
}

size_t UsableCpus() {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) return 1;
  return std::max<size_t>(1, static_cast<size_t>(CPU_COUNT(&cpus)));
}

// One line for each thing that is wrong with a VM of the command line.
void FinishVm(ConfiguredVm vm, std::vector<ConfiguredVm>& vms, std::vector<std::string>& faults) {
  NameVm(vm.creation);
  if (vm.creation.id.empty()) {
    faults.push_back(
        absl::StrCat(vm.origin, ": has neither a name nor a fixed guest-cid to be named after; add name=.."));
    return;
  }
  for (const FieldViolation& violation : CheckVm(vm.creation)) {
    faults.push_back(absl::StrCat(vm.origin, ": ", SettingOfField(violation.field), ": ", violation.description));
  }
  vms.push_back(std::move(vm));
}

void ParseVmOption(const std::string& text, size_t index, std::vector<ConfiguredVm>& vms,
                   std::vector<std::string>& faults) {
  ConfiguredVm vm{DefaultVm(), absl::StrCat("--vm ", index + 1)};
  const size_t before = faults.size();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<std::string, std::string> setting = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const bool has_value = part.find('=') != absl::string_view::npos;
    std::string fault = has_value ? ApplyVmSetting(setting.first, setting.second, vm.creation)
                                  : std::string("has no value; write key=value,key=value");
    if (!fault.empty()) faults.push_back(absl::StrCat(vm.origin, ": ", setting.first, ": ", fault));
  }
  if (faults.size() == before) FinishVm(std::move(vm), vms, faults);
}

void ParseSingleVm(const std::map<std::string, std::string>& settings, std::vector<ConfiguredVm>& vms,
                   std::vector<std::string>& faults) {
  if (settings.empty()) return;
  ConfiguredVm vm{DefaultVm(), "command line"};
  const size_t before = faults.size();
  for (const auto& [key, value] : settings) {
    const std::string fault = ApplyVmSetting(key, value, vm.creation);
    if (!fault.empty()) faults.push_back(absl::StrCat("--", absl::StrReplaceAll(key, {{"_", "-"}}), ": ", fault));
  }
  if (faults.size() == before) FinishVm(std::move(vm), vms, faults);
}

// What the command line says stands before the file.
void ParseThreads(const Flags& flags, const YamlConfig& file, Config& config, std::vector<std::string>& faults) {
  config.reactors = std::clamp<size_t>(UsableCpus() / 2, 1, kMaxDefaultReactors);  // docs/adr/0005-reactors.md
  if (flags.reactors.empty()) {
    config.reactors = file.reactors.value_or(config.reactors);
  } else if (size_t number = 0; absl::SimpleAtoi(flags.reactors, &number) && number >= 1 && number <= kMaxReactors) {
    config.reactors = number;
  } else if (flags.reactors != "auto") {
    faults.push_back(absl::StrCat("--reactors: ", Quoted(flags.reactors), " is not a number from 1 to ", kMaxReactors,
                                  ", nor auto"));
  }
  config.poll =
      flags.poll_us.has_value() ? std::chrono::microseconds(*flags.poll_us) : file.poll.value_or(kDefaultPoll);
  config.log_format = file.log_format.value_or(LogFormat::kKeyValue);
  if (flags.log_format == "json") {
    config.log_format = LogFormat::kJson;
  } else if (flags.log_format == "kv") {
    config.log_format = LogFormat::kKeyValue;
  } else if (!flags.log_format.empty()) {
    faults.push_back(absl::StrCat("--log-format: ", Quoted(flags.log_format), " is neither kv nor json"));
  }
}

void ParseEndpoints(const char* flag, const std::vector<std::string>& endpoints, std::vector<std::string>& paths,
                    std::vector<std::string>& faults) {
  if (!endpoints.empty()) paths.clear();  // what the command line says stands before the file
  for (const std::string& endpoint : endpoints) {
    absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint);
    if (path.ok()) {
      paths.push_back(*std::move(path));
    } else {
      faults.push_back(absl::StrCat(flag, ": ", path.status().message()));
    }
  }
}

// What over TCP is not in order: it is served with TLS or not at all.
void CheckTls(const Config& config, std::vector<std::string>& faults) {
  if (config.api_tcp.empty()) {
    if (config.tls.any())
      faults.emplace_back("--tls-cert, --tls-key and --tls-client-ca are for --api tcp:ADDRESS:PORT");
    return;
  }
  if (!config.tls.any()) {
    faults.push_back(absl::StrCat("--api: tcp:", config.api_tcp.front().text(),
                                  " would let everybody in who reaches the port; add --tls-cert, --tls-key and "
                                  "--tls-client-ca, or serve unix:PATH"));
    return;
  }
  for (std::string& fault : TlsFaults(config.tls)) faults.push_back(std::move(fault));
}

// What the command line says stands before the file.
void ParseApiEndpoints(const std::vector<std::string>& endpoints, Config& config, std::vector<std::string>& faults) {
  if (endpoints.empty()) return;
  config.api_sockets.clear();
  config.api_tcp.clear();
  std::vector<std::string> unix_endpoints;
  for (const std::string& text : endpoints) {
    if (!TcpEndpoint::IsTcp(text)) {
      unix_endpoints.push_back(text);
      continue;
    }
    absl::StatusOr<TcpEndpoint> endpoint = TcpEndpoint::Parse(text);
    if (endpoint.ok()) {
      config.api_tcp.push_back(*std::move(endpoint));
    } else {
      faults.push_back(absl::StrCat("--api: ", endpoint.status().message()));
    }
  }
  ParseEndpoints("--api", unix_endpoints, config.api_sockets, faults);
}

void ParseSocketDirs(const std::vector<std::string>& directories, Config& config, std::vector<std::string>& faults) {
  if (!directories.empty()) config.socket_dirs.clear();
  for (const std::string& directory : directories) {
    std::string path = UserPath(directory);
    // The shortest socket has a name of one letter in it.
    if (const std::string fault = SocketPathFault(path, kMaxSocketPathBytes - 2); path != "/" && !fault.empty()) {
      faults.push_back(absl::StrCat("--socket-dir: ", fault));
    } else {
      config.socket_dirs.push_back(std::move(path));
    }
  }
}

void ParseApi(const Flags& flags, Config& config, std::vector<std::string>& faults) {
  ParseSocketDirs(flags.socket_dirs, config, faults);
  ParseApiEndpoints(flags.api, config, faults);
  if (!flags.tls.certificate.empty()) config.tls.certificate = UserPath(flags.tls.certificate);
  if (!flags.tls.key.empty()) config.tls.key = UserPath(flags.tls.key);
  if (!flags.tls.client_ca.empty()) config.tls.client_ca = UserPath(flags.tls.client_ca);
  CheckTls(config, faults);
  ParseEndpoints("--api-view", flags.api_view, config.api_view_sockets, faults);
  if (!flags.api_roles.empty()) config.api_roles = RoleRules();
  for (const std::string& rule : flags.api_roles) {
    const std::string fault = config.api_roles.Add(rule);
    if (!fault.empty()) faults.push_back(absl::StrCat("--api-role: ", fault));
  }
  // Scripts written for the existing daemon must not find a socket they did not ask for.
  const bool vms_given = !flags.vms.empty() || !flags.single_vm.empty() || !flags.config_file.empty();
  if (flags.api.empty() && !vms_given) config.api_sockets.push_back(DefaultApiSocket());
}

void ParseHttp(const Flags& flags, Config& config, std::vector<std::string>& faults) {
  const auto parse = [&](const char* flag, const std::string& text, auto set) {
    if (text.empty()) return;
    const std::string fault = set(text, config.http);
    if (!fault.empty()) faults.push_back(absl::StrCat(flag, ": ", fault));
  };
  parse("--http", flags.http, SetHttpEndpoint);
  parse("--per-vm-metrics", flags.per_vm_metrics, SetPerVmMetrics);
  parse("--http-ui", flags.http_ui, SetHttpUi);
}

void TakeFile(const YamlConfig& file, Config& config) {
  config.networks = file.networks;
  config.policies = file.policies;
  config.vms = file.vms;
  config.forwards = file.forwards;
  config.api_sockets = file.api_sockets;
  config.api_view_sockets = file.api_view_sockets;
  config.socket_dirs = file.socket_dirs;
  config.vm_socket_dir = file.vm_socket_dir;
  config.api_tcp = file.api_tcp;
  config.tls = file.tls;
  config.api_roles = file.api_roles;
  config.state_dir = file.state_dir;
  config.quota = file.quota;
  config.http = file.http;
  config.capture_payload = file.capture_payload;
}

ConfigReading Interpret(const Flags& flags) {
  ConfigReading reading;
  Config& config = reading.config;
  std::vector<std::string> faults;
  const int sources =
      (flags.config_file.empty() ? 0 : 1) + (flags.vms.empty() ? 0 : 1) + (flags.single_vm.empty() ? 0 : 1);
  if (sources > 1) {
    faults.push_back(
        "--config, --vm and the flags of a single VM (--guest-cid, --socket, ...) exclude each other; use one of the "
        "three");
  }
  YamlConfig file;
  if (!flags.config_file.empty()) {
    file = LoadYamlConfig(flags.config_file, reading.problems);
    TakeFile(file, config);
    config.file = UserPath(flags.config_file);
  }
  for (size_t i = 0; i < flags.vms.size(); ++i) ParseVmOption(flags.vms[i], i, config.vms, faults);
  ParseSingleVm(flags.single_vm, config.vms, faults);
  ParseThreads(flags, file, config, faults);
  ParseApi(flags, config, faults);
  if (!flags.state_dir.empty()) config.state_dir = UserPath(flags.state_dir);
  ParseHttp(flags, config, faults);
  config.capture_payload = config.capture_payload || flags.capture_payload;
  for (std::string& fault : faults) reading.problems.push_back({"", "", std::move(fault)});
  if (reading.problems.empty()) reading.problems = FindClashes(config);
  return reading;
}

std::string Join(const std::vector<ConfigProblem>& problems) {
  return absl::StrJoin(problems, "\n",
                       [](std::string* out, const ConfigProblem& problem) { *out += problem.ToString(); });
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("kinsockd: the vsock switch for virtual machines (vhost-user back-end)", "kinsockd");
  Flags flags;
  CommandLine line;
  // The library reports by exceptions, --help included.
  try {
    Declare(app, flags);
    if (argc == 2 && argv[1] == std::string_view(kManPageWord)) {
      line.action = CommandLine::Action::kPrint;
      line.text = ManPage(app);
      return line;
    }
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.action = CommandLine::Action::kPrint;
    line.text = app.help();
    return line;
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), "; kinsockd --help lists all flags"));
  }
  if (flags.version) {
    line.action = CommandLine::Action::kPrint;
    line.text = absl::StrCat("kinsockd ", kVersion, "\n");
    return line;
  }
  ConfigReading reading = Interpret(flags);
  line.config = std::move(reading.config);
  line.problems = std::move(reading.problems);
  if (flags.check) {
    line.action = CommandLine::Action::kCheck;
  } else if (flags.print_config) {
    line.action = CommandLine::Action::kPrint;
    line.text = ConfigToYaml(line.config);
  } else if (!line.problems.empty()) {
    return absl::InvalidArgumentError(Join(line.problems));
  }
  if (!flags.config_file.empty()) line.reread = [flags] { return Interpret(flags); };
  return line;
}

}  // namespace kinsock
