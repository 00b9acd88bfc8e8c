// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_YAML_CONFIG_H_
#define KINSOCK_SERVER_YAML_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config.h"

namespace kinsock {

// What a configuration file says.
struct YamlConfig {
  std::vector<ConfiguredNetwork> networks;
  std::vector<ConfiguredPolicy> policies;
  std::vector<ConfiguredVm> vms;
  std::vector<std::string> api_sockets;
  std::vector<std::string> api_view_sockets;
  std::vector<TcpEndpoint> api_tcp;
  std::vector<std::string> socket_dirs;
  TlsFiles tls;
  RoleRules api_roles;
  Quota quota;
  std::string state_dir;  // empty: not said
  HttpSettings http;
};

// Reads the YAML text `yaml`. `file` is its name, for messages.
//
//     api: {listen: ["unix:%t/kinsock/api.sock"], viewer_socket: "unix:%t/kinsock/view.sock",
//           socket_dirs: [/srv/vms],
//           tls: {cert: FILE, key: FILE, client_ca: FILE},  # for "tcp:ADDRESS:PORT" in `listen`
//           roles: {admin: {gids: [kinsock-admin]}, viewer: {uids: [prometheus], sans: [node-7.example]}}}
//     http: {listen: "unix:%t/kinsock/http.sock", per_vm_metrics: full}
//     state: {dir: "%S/kinsock"}
//     defaults: {quota: {max_connections: 1024, bytes_to_guest: {rate: 100000000, burst: 10000000}}}
//     networks: [...]  # and policies: yaml_networks.h
//     vms: [{name: web-1, guest_cid: 42, socket: /run/web-1.sock, uds_path: /run/web-1.uds, groups: "web+db"}]
//
// A file of the existing daemon has only `vms` and loads unchanged; `groups` may be a list, too, and
// each VM may have a `quota` as above. INVALID_ARGUMENT: a
// line for each thing that is wrong, "file:line:column: field: what". Any thread.
absl::StatusOr<YamlConfig> ParseYamlConfig(const std::string& yaml, const std::string& file);

// The same of the file at `path`. NOT_FOUND and the like when it cannot be read.
absl::StatusOr<YamlConfig> LoadYamlConfig(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_YAML_CONFIG_H_
