// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "cli/manifest/manifest.h"

namespace kinsock {
namespace {

// Who has what already, of all kinds.
class Claims {
 public:
  // False: somebody has it.
  bool Take(const std::string& place, const std::string& what, const std::string& value) {
    const auto [first, is_new] = seen_.emplace(std::make_pair(what, value), place);
    if (!is_new) {
      clashes.push_back(
          {place, "",
           absl::StrCat(what, " ", Quoted(value), " is already that of ", first->second, "; give each its own")});
    }
    return is_new;
  }

  std::vector<ConfigProblem> clashes;

 private:
  std::map<std::pair<std::string, std::string>, std::string> seen_;
};

void TakeVm(const Described<v1::Vm>& vm, Claims& claims) {
  const v1::VmSpec& spec = vm.message.spec();
  const auto path = [&](const std::string& value, const char* field) {
    if (!value.empty()) claims.Take(PlaceOfField(vm, field), "path", value);
  };
  if (spec.cid().static_cid() != 0) {
    const std::string network = spec.network().empty() ? "networks/default" : spec.network();
    claims.Take(PlaceOfField(vm, "spec.cid"), "CID in " + network, absl::StrCat(spec.cid().static_cid()));
  }
  path(spec.vhost_user_socket(), "spec.vhost_user_socket");
  path(spec.uds().path(), "spec.uds.path");
  for (const uint32_t port : spec.vsock_proxy().listen_ports()) {
    claims.Take(PlaceOfField(vm, "spec.vsock_proxy"), "AF_VSOCK port of the host", absl::StrCat(port));
  }
}

void TakeForward(const Described<v1::Forward>& forward, Claims& claims) {
  const v1::Forward& message = forward.message;
  if (!message.listen().empty()) {
    claims.Take(PlaceOfField(forward, "listen"), "address", message.listen());
  } else {
    claims.Take(PlaceOfField(forward, "guest_port"), "port of " + message.vm(), absl::StrCat(message.guest_port()));
  }
}

}  // namespace

std::vector<ConfigProblem> FindClashes(const Manifest& manifest) {
  Claims claims;
  for (const auto& network : manifest.networks) claims.Take(network.place, "name", network.message.name());
  for (const auto& policy : manifest.policies) claims.Take(policy.place, "name", policy.message.name());
  for (const auto& vm : manifest.vms) {
    if (claims.Take(vm.place, "name", vm.message.name())) TakeVm(vm, claims);
  }
  for (const auto& forward : manifest.forwards) {
    if (claims.Take(forward.place, "name", forward.message.name())) TakeForward(forward, claims);
  }
  return std::move(claims.clashes);
}

}  // namespace kinsock
