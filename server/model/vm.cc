// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm.h"

#include "absl/strings/str_cat.h"

namespace kinsock {

const char* VmStateName(VmState state) {
  switch (state) {
    case VmState::kUnspecified:
      break;
    case VmState::kProvisioning:
      return "PROVISIONING";
    case VmState::kListening:
      return "LISTENING";
    case VmState::kConnected:
      return "CONNECTED";
    case VmState::kActive:
      return "ACTIVE";
    case VmState::kSuspended:
      return "SUSPENDED";
    case VmState::kDraining:
      return "DRAINING";
    case VmState::kDrained:
      return "DRAINED";
    case VmState::kDeleting:
      return "DELETING";
    case VmState::kFailed:
      return "FAILED";
  }
  return "STATE_UNSPECIFIED";
}

std::string VmDefinition::etag() const {
  if (uid.empty()) return "";
  // Opaque to clients; both parts are known to them anyway, so there is nothing to hide behind a hash.
  return absl::StrCat(uid.substr(0, 8), "-", generation);
}

size_t VmDefinition::approximate_size() const {
  size_t bytes = sizeof(*this) + id.size() + uid.size() + spec.vhost_user_socket.size() + spec.uds_path.size();
  constexpr size_t kNode = 80;  // of a map, besides the text
  for (const auto& [key, value] : labels) bytes += kNode + key.size() + value.size();
  for (const auto& [key, value] : annotations) bytes += kNode + key.size() + value.size();
  if (spec.vsock_proxy.has_value()) bytes += spec.vsock_proxy->listen_ports.size() * sizeof(uint32_t);
  for (const std::string& group : spec.groups) bytes += sizeof(group) + group.size();
  return bytes;
}

}  // namespace kinsock
