// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_CONFIG_H_
#define KINSOCK_SERVER_CONFIG_YAML_CONFIG_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/config.h"
#include "server/config/http_settings.h"

namespace kinsock {

// The bounds of what the daemon does with its threads.
//
// More threads than this never helped a memory-bound copy, and each polls its own ring of sockets.
inline constexpr size_t kMaxReactors = 64;
// Longer than a thousand sleeps cost; nobody waits for the next packet that long with a thread that has nothing to do.
inline constexpr uint32_t kMaxPollUs = 10'000;

// What a configuration file says. None: not said.
struct YamlConfig {
  std::vector<ConfiguredNetwork> networks;
  std::vector<ConfiguredPolicy> policies;
  std::vector<ConfiguredVm> vms;
  std::vector<ConfiguredForward> forwards;
  std::vector<std::string> api_sockets;
  std::vector<std::string> api_view_sockets;
  std::vector<TcpEndpoint> api_tcp;
  std::vector<std::string> socket_dirs;
  std::string vm_socket_dir;  // empty: not said
  TlsFiles tls;
  RoleRules api_roles;
  Quota quota;
  std::string state_dir;  // empty: not said
  std::optional<size_t> reactors;
  std::optional<std::chrono::microseconds> poll;
  std::optional<LogFormat> log_format;
  HttpSettings http;
  bool capture_payload = false;
};

// Reads the YAML text `yaml`. `file` is its name, for messages.
//
//     api: {listen: ["unix:%t/kinsock/api.sock"], viewer_socket: "unix:%t/kinsock/view.sock",
//           socket_dirs: [/srv/vms],
//           tls: {cert: FILE, key: FILE, client_ca: FILE},  # for "tcp:ADDRESS:PORT" in `listen`
//           roles: {admin: {gids: [kinsock-admin]}, viewer: {uids: [prometheus], sans: [node-7.example]}}}
//     http: {listen: "unix:%t/kinsock/http.sock", ui: true, per_vm_metrics: full}  # or "tcp:127.0.0.1:PORT"; basic,
//     off capture: {payload: false} state: {dir: "%S/kinsock"} daemon: {reactors: 2, poll_us: 20, log_format: kv}
//     defaults: {quota: {max_connections: 1024, bytes_to_guest: {rate: 100000000, burst: 10000000}},
//                socket_dir: "%t/kinsock/vms",             # quota, socket_dir: of every VM; the others: of the file's
//                queue_size: 1024, tx_buffer_size: 65536}
//     networks: [...]  # and policies: yaml_networks.h
//     vms: [...]       # yaml_vms.h
//     forwards: [...]  # yaml_forwards.h
//
// A file of the existing daemon has only `vms` and loads unchanged. What is wrong is added to `problems`, and what is
// returned then is of no use. Any thread.
YamlConfig ParseYamlConfig(const std::string& yaml, const std::string& file, std::vector<ConfigProblem>& problems);

// The same of the file at `path`, also when it cannot be read. Blocks as long as the file system does.
YamlConfig LoadYamlConfig(const std::string& path, std::vector<ConfigProblem>& problems);

// As the first; INVALID_ARGUMENT: a line for each problem.
absl::StatusOr<YamlConfig> ParseYamlConfig(const std::string& yaml, const std::string& file);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_CONFIG_H_
