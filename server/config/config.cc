// SPDX-License-Identifier: Apache-2.0
#include "server/config/config.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace kinsock {
namespace {

// Who has what already.
class Claims {
 public:
  explicit Claims(const char* owner) : owner_(owner) {}

  void Take(const std::string& origin, const std::string& kind, const std::string& value,
            std::vector<ConfigProblem>& clashes) {
    const auto [first, is_new] = seen_.emplace(std::make_pair(kind, value), origin);
    if (is_new) return;
    clashes.push_back({origin, "",
                       absl::StrCat(kind, " ", Quoted(value), " is already that of the ", owner_, " at ", first->second,
                                    "; give each ", owner_, " its own")});
  }

 private:
  const char* const owner_;
  std::map<std::pair<std::string, std::string>, std::string> seen_;  // (kind, value) -> origin
};

}  // namespace

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
    if (!spec.vhost_user_socket.empty()) claim("path", spec.vhost_user_socket);
    if (spec.has_uds) claim("path", spec.uds_path);
    if (!spec.vsock_proxy.has_value()) continue;
    for (const uint32_t port : spec.vsock_proxy->listen_ports) claim("forward_listen port", absl::StrCat(port));
  }
  for (const ConfiguredForward& forward : config.forwards) {
    const ForwardSpec& spec = forward.creation.spec;
    forwards.Take(forward.origin, "name", forward.creation.id, clashes);
    if (spec.to_guest()) {
      forwards.Take(forward.origin, "listen", spec.listen, clashes);
    } else {
      forwards.Take(forward.origin, absl::StrCat("port of ", spec.vm), absl::StrCat(spec.guest_port), clashes);
    }
  }
  return clashes;
}

}  // namespace kinsock
