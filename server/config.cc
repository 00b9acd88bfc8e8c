// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/text.h"

namespace kinsock {

std::vector<std::string> FindClashes(const std::vector<ConfiguredVm>& vms) {
  std::vector<std::string> clashes;
  std::map<std::pair<std::string, std::string>, std::string> seen;  // (kind, value) -> origin
  const auto claim = [&](const ConfiguredVm& vm, const std::string& kind, const std::string& value) {
    const auto [first, is_new] = seen.emplace(std::make_pair(kind, value), vm.origin);
    if (is_new) return;
    clashes.push_back(absl::StrCat(vm.origin, ": ", kind, " ", Quoted(value), " is already that of the VM at ",
                                   first->second, "; give each VM its own"));
  };
  for (const ConfiguredVm& vm : vms) {
    const VmSpec& spec = vm.creation.spec;
    claim(vm, "name", vm.creation.id);
    if (spec.cid.kind == CidRequest::Kind::kFixed) {
      const std::string network = NetworkOf(spec);
      claim(vm, network == kDefaultNetworkId ? "guest_cid" : absl::StrCat("guest_cid in network ", network),
            absl::StrCat(spec.cid.first));
    }
    if (!spec.vhost_user_socket.empty()) claim(vm, "path", spec.vhost_user_socket);
    if (spec.has_uds) claim(vm, "path", spec.uds_path);
    if (!spec.vsock_proxy.has_value()) continue;
    for (const uint32_t port : spec.vsock_proxy->listen_ports) claim(vm, "forward_listen port", absl::StrCat(port));
  }
  return clashes;
}

}  // namespace kinsock
