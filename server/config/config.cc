// SPDX-License-Identifier: Apache-2.0
#include "server/config/config.h"

#include <map>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/host/socket_registry.h"
#include "server/model/forward_address.h"
#include "server/model/vm_directory.h"

namespace kinsock {
namespace {

// Who has what already.
class Claims {
 public:
  explicit Claims(const char* owner) : owner_(owner) {}

  // False: somebody else has it.
  bool Take(const std::string& origin, const std::string& kind, const std::string& value,
            std::vector<ConfigProblem>& clashes) {
    const auto [first, is_new] = seen_.emplace(std::make_pair(kind, value), origin);
    if (is_new) return true;
    clashes.push_back({origin, "",
                       absl::StrCat(kind, " ", Quoted(value), " is already that of the ", owner_, " at ", first->second,
                                    "; give each ", owner_, " its own")});
    return false;
  }

 private:
  const char* const owner_;
  std::map<std::pair<std::string, std::string>, std::string> seen_;  // (kind, value) -> origin
};

// The sockets as they will be made, one after the other.
class Sockets {
 public:
  explicit Sockets(std::vector<ConfigProblem>& clashes) : clashes_(clashes) {}

  void Take(const ConfigProblem& whose, const std::string& place, bool hybrid, const std::string& holder) {
    if (Note(whose, registry_.CheckFree(place, hybrid))) registry_.Take(place, hybrid, holder);
  }
  void TakeTarget(const ConfigProblem& whose, const std::string& place, const std::string& holder) {
    if (Note(whose, registry_.CheckTarget(place))) registry_.TakeTarget(place, holder);
  }

 private:
  bool Note(ConfigProblem whose, const absl::Status& clash) {
    if (clash.ok()) return true;
    whose.what = std::string(clash.message());
    clashes_.push_back(std::move(whose));
    return false;
  }

  SocketRegistry registry_;
  std::vector<ConfigProblem>& clashes_;
};

void TakeDaemonSockets(const Config& config, Sockets& sockets) {
  const auto take = [&](const char* setting, const std::string& place, const char* holder) {
    sockets.Take({"", setting, ""}, place, false, holder);
  };
  for (const std::string& path : config.api_sockets) take("api.listen", CanonicalSocketPath(path), "the API");
  for (const std::string& path : config.api_view_sockets) {
    take("api.viewer_socket", CanonicalSocketPath(path), "the API");
  }
  for (const TcpEndpoint& endpoint : config.api_tcp) take("api.listen", endpoint.place(), "the API");
  if (config.http.tcp.has_value()) take("http.listen", config.http.tcp->place(), "HTTP");
  if (!config.http.socket.empty()) take("http.listen", CanonicalSocketPath(config.http.socket), "HTTP");
}

void TakeVmSockets(const Config& config, Claims& vms, Sockets& sockets, std::vector<ConfigProblem>& clashes) {
  const std::string vms_dir = VmSocketDirOf(config);
  std::set<std::string> ids;
  for (const ConfiguredVm& vm : config.vms) {
    const VmSpec& spec = vm.creation.spec;
    if (!ids.insert(vm.creation.id).second) continue;  // nothing more to be said of it than that
    const auto take = [&](const char* setting, const std::string& path, bool hybrid) {
      // Said in fewer words of two VMs.
      if (!vms.Take(vm.origin, "path", path, clashes)) return;
      sockets.Take({vm.origin, setting, ""}, CanonicalSocketPath(path), hybrid, "the VM at " + vm.origin);
    };
    const std::string& path = spec.vhost_user_socket;
    take("socket", path.empty() ? DefaultVmSocket(vms_dir, vm.creation.id) : path, false);
    if (spec.has_uds) take("uds_path", spec.uds_path, true);
  }
}

}  // namespace

std::string VmSocketDirOf(const Config& config) {
  return config.vm_socket_dir.empty() ? RuntimeDir() + "/vms" : config.vm_socket_dir;
}

std::string ConfigProblem::ToString() const {
  return absl::StrCat(place, place.empty() ? "" : ": ", field, field.empty() ? "" : ": ", what);
}

std::vector<ConfigProblem> FindClashes(const Config& config) {
  std::vector<ConfigProblem> clashes;
  Claims networks("network"), policies("policy"), vms("VM"), forwards("forward");
  for (const ConfiguredNetwork& network : config.networks) {
    networks.Take(network.origin, "name", network.creation.id, clashes);
  }
  for (const ConfiguredPolicy& policy : config.policies) {
    const std::string& network = policy.creation.network;
    policies.Take(policy.origin, network == kDefaultNetworkId ? "name" : absl::StrCat("name in network ", network),
                  policy.creation.id, clashes);
  }
  for (const ConfiguredVm& vm : config.vms) {
    const VmSpec& spec = vm.creation.spec;
    const auto claim = [&](const std::string& kind, const std::string& value) {
      vms.Take(vm.origin, kind, value, clashes);
    };
    claim("name", vm.creation.id);
    if (spec.cid.kind == CidRequest::Kind::kFixed) {
      const std::string network = NetworkOf(spec);
      claim(network == kDefaultNetworkId ? "guest_cid" : absl::StrCat("guest_cid in network ", network),
            absl::StrCat(spec.cid.first));
    }
    if (!spec.vsock_proxy.has_value()) continue;
    for (const uint32_t port : spec.vsock_proxy->listen_ports) claim("forward_listen port", absl::StrCat(port));
  }
  Sockets sockets(clashes);
  TakeDaemonSockets(config, sockets);
  TakeVmSockets(config, vms, sockets, clashes);
  for (const ConfiguredForward& forward : config.forwards) {
    const ForwardSpec& spec = forward.creation.spec;
    const std::string holder = "the forward at " + forward.origin;
    forwards.Take(forward.origin, "name", forward.creation.id, clashes);
    const absl::StatusOr<HostEndpoint> endpoint = ParseForwardAddress(spec.address());
    if (spec.to_guest()) {
      const bool mine = forwards.Take(forward.origin, "listen", spec.listen, clashes);
      if (mine && endpoint.ok()) sockets.Take({forward.origin, "listen", ""}, PlaceOf(*endpoint), false, holder);
    } else {
      forwards.Take(forward.origin, absl::StrCat("port of ", spec.vm), absl::StrCat(spec.guest_port), clashes);
      if (endpoint.ok()) sockets.TakeTarget({forward.origin, "target", ""}, PlaceOf(*endpoint), holder);
    }
  }
  return clashes;
}

}  // namespace kinsock
