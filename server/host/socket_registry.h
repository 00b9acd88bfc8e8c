// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_SOCKET_REGISTRY_H_
#define KINSOCK_SERVER_HOST_SOCKET_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "device/forward_ports.h"

namespace kinsock {

// Which socket paths, and which AF_VSOCK ports of the host, the daemon's VMs hold, so that none reaches another's.
//
// Equal paths are one danger. The other: a guest that connects to host port P reaches "<its uds path>_P". If that
// were the path of another VM's socket, the guest could speak to it - the CONNECT protocol, or even vhost-user - past
// every group. So neither may be made while the other is there.
//
// A forward from a guest leads to a socket of the host, its target, which must be none of these either: neither may be
// made while the other is there. Several forwards may lead to one target.
//
// A guest that may call the host's AF_VSOCK ports is kept from those of other VMs when it calls (ForwardPorts).
//
// Paths are canonical (see CanonicalSocketPath); in place of one there may be a TCP address, "tcp:127.0.0.1:80"
// (TcpEndpoint::place()). Thread: main.
class SocketRegistry {
 public:
  // ALREADY_EXISTS SOCKET_PATH_BUSY {path, holder}, or TCP_PORT_BUSY {address, holder}. `hybrid`: the path is a VM's
  // uds path.
  absl::Status CheckFree(const std::string& path, bool hybrid) const;

  // Precondition: CheckFree(). `holder` is what to call its owner: "vms/a", "the API".
  void Take(const std::string& path, bool hybrid, const std::string& holder);
  void Release(const std::string& path) { taken_.erase(path); }

  // The same for what a forward leads to.
  absl::Status CheckTarget(const std::string& path) const;
  void TakeTarget(const std::string& path, const std::string& holder) { targets_.emplace(path, holder); }
  void ReleaseTarget(const std::string& path, const std::string& holder);

  // The same for a port of the host's AF_VSOCK. ALREADY_EXISTS VSOCK_PORT_BUSY {port, holder}.
  absl::Status CheckPortFree(uint32_t port) const;
  void TakePort(uint32_t port, const std::string& holder);
  void ReleasePort(uint32_t port);
  // The ports that are taken, for reactors to look at.
  std::shared_ptr<const ForwardPorts> ports() const { return shared_ports_; }

 private:
  struct Entry {
    bool hybrid = false;
    std::string holder;
  };
  // What is at `path`, or takes what would come there; else OK.
  absl::Status CheckHolders(const std::string& path) const;

  std::map<std::string, Entry> taken_;
  std::multimap<std::string, std::string> targets_;  // -> holder
  std::map<uint32_t, std::string> taken_ports_;      // -> holder
  const std::shared_ptr<ForwardPorts> shared_ports_ = std::make_shared<ForwardPorts>();
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_SOCKET_REGISTRY_H_
