// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SOCKET_REGISTRY_H_
#define KINSOCK_SERVER_SOCKET_REGISTRY_H_

#include <map>
#include <string>

#include "absl/status/status.h"

namespace kinsock {

// Which socket paths the daemon's VMs hold, so that none reaches another's.
//
// Equal paths are one danger. The other: a guest that connects to host port P reaches "<its uds path>_P". If that
// were the path of another VM's socket, the guest could speak to it - the CONNECT protocol, or even vhost-user - past
// every group. So neither may be made while the other is there.
//
// Paths are canonical (see CanonicalSocketPath). Thread: main.
class SocketRegistry {
 public:
  // ALREADY_EXISTS SOCKET_PATH_BUSY {path, holder}. `hybrid`: the path is a VM's uds path.
  absl::Status CheckFree(const std::string& path, bool hybrid) const;

  // Precondition: CheckFree(). `holder` is what to call its owner: "vms/a", "the API".
  void Take(const std::string& path, bool hybrid, const std::string& holder);
  void Release(const std::string& path) { taken_.erase(path); }

 private:
  struct Entry {
    bool hybrid = false;
    std::string holder;
  };
  std::map<std::string, Entry> taken_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SOCKET_REGISTRY_H_
