// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "server/config/http_settings.h"
#include "server/host/log.h"
#include "server/host/tcp_endpoint.h"
#include "server/host/tls_files.h"
#include "server/model/forward_spec.h"
#include "server/model/network.h"
#include "server/model/quota.h"
#include "server/model/vm_spec.h"
#include "server/rpc/role_rules.h"

namespace kinsock {

// A VM that the command line or a file asks for.
struct ConfiguredVm {
  VmCreation creation;
  std::string origin;  // where it says so, for messages: "kinsock.yaml:3:5", "--vm 2"
};

// A network, a policy, or a forward that a file asks for.
struct ConfiguredNetwork {
  NetworkCreation creation;
  std::string origin;
};
struct ConfiguredPolicy {
  PolicyCreation creation;
  std::string origin;
};
struct ConfiguredForward {
  ForwardCreation creation;
  std::string origin;
};

// Everything that a start of kinsockd depends on, checked as far as that can be done without the machine.
struct Config {
  std::string file;  // that --config names, absolute; empty: none
  std::vector<ConfiguredNetwork> networks;
  std::vector<ConfiguredPolicy> policies;
  std::vector<ConfiguredVm> vms;
  std::vector<ConfiguredForward> forwards;
  std::vector<std::string> api_sockets;       // paths; none: no API
  std::vector<std::string> api_view_sockets;  // paths where nobody is more than a viewer
  std::vector<TcpEndpoint> api_tcp;           // only with `tls`
  TlsFiles tls;
  std::string vm_socket_dir;             // see VmSocketDirOf()
  std::vector<std::string> socket_dirs;  // below which API clients may have sockets made; none: anywhere
  RoleRules api_roles;
  Quota quota;            // of every VM, whatever its own says
  std::string state_dir;  // empty: nothing outlives the daemon
  size_t reactors = 1;
  std::chrono::microseconds poll{0};  // how long a reactor looks for work before it sleeps; 0: not at all
  HttpSettings http;
  bool capture_payload = false;  // admins may have captures see payload
  LogFormat log_format = LogFormat::kKeyValue;
};

// Something that is wrong with a configuration.
struct ConfigProblem {
  std::string place;  // "kinsock.yaml:3:5"; empty: `what` says it
  std::string field;  // "vms[0].queue_size"; empty: it is not about one
  std::string what;

  // "place: field: what".
  std::string ToString() const;
};

// Below which directory VMs have their own ones (VmDirectory()): as the configuration says, or "<runtime dir>/vms".
std::string VmSocketDirOf(const Config& config);

// What no two of a kind may have both: a network or a policy its name, a VM its name, CID, socket paths, AF_VSOCK
// ports, a forward its name and where it listens, or the port that its guest calls; and sockets that would be in each
// other's way (SocketRegistry), those of the API included. One for each clash, which names both origins.
std::vector<ConfigProblem> FindClashes(const Config& config);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_H_
