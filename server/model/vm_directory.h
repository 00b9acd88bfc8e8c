// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_DIRECTORY_H_
#define KINSOCK_SERVER_MODEL_VM_DIRECTORY_H_

#include <string>

#include "absl/strings/str_cat.h"

namespace kinsock {

// A VM's own directory for its sockets: the daemon makes it, and removes it when it is empty. `vms_dir`: below which
// all of them are, "/run/kinsock/vms".
inline std::string VmDirectory(const std::string& vms_dir, const std::string& id) {
  return absl::StrCat(vms_dir, "/", id);
}

// The vhost-user socket of a VM that was given no path for it.
inline std::string DefaultVmSocket(const std::string& vms_dir, const std::string& id) {
  return VmDirectory(vms_dir, id) + "/vhost.sock";
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_DIRECTORY_H_
