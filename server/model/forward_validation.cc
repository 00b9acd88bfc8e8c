// SPDX-License-Identifier: Apache-2.0
#include "server/model/forward_validation.h"

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/model/forward_address.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

using Violations = std::vector<FieldViolation>;

constexpr uint32_t kAnyPort = 0xffffffff;  // VMADDR_PORT_ANY

void CheckAddress(const std::string& wanted, const std::string& other, const char* field, const char* other_field,
                  const char* direction, Violations& violations) {
  if (!other.empty()) {
    violations.push_back({other_field, absl::StrCat("has no meaning for ", direction, "; give ", field)});
  }
  if (wanted.empty()) {
    violations.push_back({field, "is empty; give unix:/PATH, tcp:127.0.0.1:PORT or tcp:[::1]:PORT"});
    return;
  }
  const absl::StatusOr<HostEndpoint> endpoint = ParseForwardAddress(wanted);
  if (!endpoint.ok()) violations.push_back({field, std::string(endpoint.status().message())});
}

void CheckAccess(const ForwardSpec& spec, Violations& violations) {
  const std::string field = "forward.socket_access";
  if (!spec.to_guest() || !absl::StartsWith(spec.listen, "unix:")) {
    violations.push_back({field, "is for TO_GUEST on a UNIX socket; leave it out"});
  }
  CheckSocketAccess(*spec.access, field, violations);
}

}  // namespace

std::vector<FieldViolation> CheckForward(const ForwardSpec& spec) {
  Violations violations;
  constexpr std::string_view kVms = "vms/";
  const std::string_view vm = spec.vm;
  if (!absl::StartsWith(AbslView(vm), AbslView(kVms)) || !IsVmId(vm.substr(kVms.size()))) {
    violations.push_back({"forward.vm", absl::StrCat(Quoted(vm), " is not the name of a VM; give \"vms/{vm_id}\"")});
  }
  // Port 0 can be listened on, in a guest as on the host; it is never meant.
  if (spec.guest_port == 0 || spec.guest_port == kAnyPort) {
    violations.push_back(
        {"forward.guest_port", absl::StrCat(spec.guest_port, " is no port; give 1 to ", kAnyPort - 1)});
  }
  if (!spec.direction.has_value()) {
    violations.push_back({"forward.direction", "is none; give TO_GUEST or FROM_GUEST"});
  } else if (spec.to_guest()) {
    CheckAddress(spec.listen, spec.target, "forward.listen", "forward.target", "TO_GUEST", violations);
  } else {
    CheckAddress(spec.target, spec.listen, "forward.target", "forward.listen", "FROM_GUEST", violations);
  }
  if (spec.access.has_value()) CheckAccess(spec, violations);
  return violations;
}

}  // namespace kinsock
