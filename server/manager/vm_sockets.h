// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_SOCKETS_H_
#define KINSOCK_SERVER_MANAGER_VM_SOCKETS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "device/device_spec.h"
#include "server/host/bound_socket.h"
#include "server/host/socket_dirs.h"
#include "server/host/socket_registry.h"
#include "server/model/vm_spec.h"
#include "server/status/error.h"

namespace kinsock {

// Where the sockets of a VM are, once the defaults are filled in.
struct VmSocketPaths {
  std::string vhost_user;              // empty: the VM's id is none, so there is no default
  std::string uds;                     // empty: no host side
  std::optional<VsockProxy> vsock;     // the host side on AF_VSOCK, if there is one
  const SocketDirs* within = nullptr;  // below which directories they must lie; null, or without any: anywhere
  std::optional<SocketAccess> access;  // to the UNIX sockets; none: the daemon's user and group
  std::string own_directory;           // VmDirectory() when one of them lies there: made when missing; else empty
  bool by_default = false;             // nobody has chosen `vhost_user` but us

  static VmSocketPaths Resolve(const VmCreation& creation, const std::string& vms_dir);

  // Looks whether all sockets can be made; makes nothing. What the file system refuses is added to `violations`
  // (what CheckVm() says of the paths is not said again); what somebody else has is returned: SOCKET_PATH_BUSY,
  // VSOCK_PORT_BUSY; so is what the kernel has not: VSOCK_UNAVAILABLE.
  absl::Status Check(const SocketRegistry& registry, std::vector<FieldViolation>& violations) const;

 private:
  bool InOwnDirectory(const std::string& path) const;
  absl::Status CheckForwards(const SocketRegistry& registry) const;
};

// The listening sockets of a VM: one for its VMM, one for host programs or one for each port of the host's AF_VSOCK.
// With this object go their files, their places in the registry, and the VM's own directory if it is empty.
//
// Thread: main.
class VmSockets {
 public:
  // Makes all or none. `registry` outlives the sockets. Errors: as BoundSocket::Listen() and ListenVsock().
  static absl::StatusOr<VmSockets> Make(const VmSocketPaths& paths, const std::string& vm_name,
                                        SocketRegistry& registry);

  VmSockets(VmSockets&& other) noexcept = default;
  VmSockets& operator=(VmSockets&& other) = delete;
  ~VmSockets();

  UniqueFd TakeVhostUserListener() { return vhost_user_.TakeListener(); }
  UniqueFd TakeHostListener() { return uds_.TakeListener(); }  // invalid: no host side

  std::vector<ForwardSocket> TakeForwards() { return std::move(forwards_); }

  // The path of one that somebody else has removed or replaced; empty: all are where they were made.
  std::string FindLost() const;

  // Takes the files away, so that nobody new connects; the paths stay reserved.
  void RemoveFiles();

 private:
  explicit VmSockets(SocketRegistry& registry) : registry_(&registry) {}

  SocketRegistry* registry_;             // not owned
  std::vector<std::string> registered_;  // canonical paths
  BoundSocket vhost_user_;
  BoundSocket uds_;
  std::vector<uint32_t> registered_ports_;
  std::vector<ForwardSocket> forwards_;
  std::string own_directory_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_SOCKETS_H_
