// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_sockets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/placed_socket.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/host/vsock_listener.h"
#include "server/model/vm_directory.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

// A VM has one VMM; a few more may knock or wait while a dead one's session ends.
constexpr int kVhostUserBacklog = 16;
// What Firecracker's and the existing daemon's sockets have.
constexpr int kHybridBacklog = 128;
constexpr int kForwardBacklog = 128;
// The daemon's user and group. VMMs and host programs run as one of them, or are let in through the directory.
constexpr mode_t kSocketMode = 0660;
constexpr mode_t kDirectoryMode = 0750;

absl::Status MakeDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
               absl::StrCat("directory ", Quoted(directory), " cannot be made: ", strerror(errno), "; make it for uid ",
                            geteuid(), ", or give the sockets another path"))
      .With("path", directory);
}

// `directory` is "<runtime dir>/vms/<id>", or what the configuration has in its place; what is above the runtime
// directory exists, or the machine is not set up. `passable`: others are let in, by the files' own permissions, and
// have to get there; what is above a directory of the configuration's is as its owner wants it.
absl::Status MakeOwnDirectory(const std::string& directory, bool passable) {
  const std::string vms = directory.substr(0, directory.rfind('/'));
  const std::string above = vms.substr(0, vms.rfind('/'));
  for (const std::string& each : {above, vms, directory}) {
    if (each.empty()) continue;  // the root
    KINSOCK_RETURN_IF_ERROR(MakeDirectory(each));
    if (!passable || (each == above && above != RuntimeDir())) continue;
    struct stat there {};
    // One that is somebody else's is as he wants it.
    if (stat(each.c_str(), &there) == 0 && there.st_uid == geteuid()) {
      chmod(each.c_str(), (there.st_mode & 07777) | S_IXOTH);
    }
  }
  return absl::OkStatus();
}

}  // namespace

VmSocketPaths VmSocketPaths::Resolve(const VmCreation& creation, const std::string& vms_dir) {
  VmSocketPaths paths;
  paths.vhost_user = creation.spec.vhost_user_socket;
  if (creation.spec.has_uds) paths.uds = creation.spec.uds_path;
  paths.vsock = creation.spec.vsock_proxy;
  paths.access = creation.spec.socket_access;
  if (!IsVmId(creation.id)) return paths;
  paths.by_default = paths.vhost_user.empty();
  if (paths.by_default) paths.vhost_user = DefaultVmSocket(vms_dir, creation.id);
  paths.own_directory = VmDirectory(vms_dir, creation.id);
  if (!paths.InOwnDirectory(paths.vhost_user) && !paths.InOwnDirectory(paths.uds)) paths.own_directory.clear();
  return paths;
}

bool VmSocketPaths::InOwnDirectory(const std::string& path) const {
  return !own_directory.empty() && path.substr(0, path.rfind('/')) == own_directory;
}

absl::Status VmSocketPaths::Check(const SocketRegistry& registry, std::vector<FieldViolation>& violations) const {
  // A path that is no path at all was found fault with already, unless nobody but us chose it.
  const std::string fault = SocketPathFault(vhost_user, kMaxSocketPathBytes);
  absl::Status busy;
  if (fault.empty()) {
    busy = registry.CheckFree(CanonicalSocketPath(vhost_user), false);
    if (busy.ok()) {
      busy = CheckSocketPlace("vm.spec.vhost_user_socket", vhost_user, InOwnDirectory(vhost_user), within, violations);
    }
  } else if (by_default) {
    violations.push_back({"vm.spec.vhost_user_socket", "by default " + fault});
  }
  // Ports that are none have been found fault with.
  if (busy.ok() && violations.empty()) busy = CheckForwards(registry);
  if (uds.empty() || !SocketPathFault(uds, kMaxHybridPathBytes).empty()) return busy;
  if (busy.ok()) busy = registry.CheckFree(CanonicalSocketPath(uds), true);
  if (busy.ok()) busy = CheckSocketPlace("vm.spec.uds.path", uds, InOwnDirectory(uds), within, violations);
  return busy;
}

absl::Status VmSocketPaths::CheckForwards(const SocketRegistry& registry) const {
  if (!vsock.has_value()) return absl::OkStatus();
  KINSOCK_RETURN_IF_ERROR(CheckVsock(vsock->forward_cid));
  for (const uint32_t port : vsock->listen_ports) {
    KINSOCK_RETURN_IF_ERROR(registry.CheckPortFree(port));
    KINSOCK_RETURN_IF_ERROR(CheckVsockPort(port));
  }
  return absl::OkStatus();
}

absl::StatusOr<VmSockets> VmSockets::Make(const VmSocketPaths& paths, const std::string& vm_name,
                                          SocketRegistry& registry) {
  VmSockets sockets(registry);
  if (!paths.own_directory.empty()) {
    KINSOCK_RETURN_IF_ERROR(MakeOwnDirectory(paths.own_directory, paths.access.has_value()));
    sockets.own_directory_ = paths.own_directory;
  }
  const SocketPermissions permissions = PermissionsOf(paths.access, SocketPermissions{.mode = kSocketMode});
  // Registered one by one: the second is then checked against the first, too.
  const auto listen = [&](const std::string& path, int backlog, bool hybrid) -> absl::StatusOr<BoundSocket> {
    const std::string canonical = CanonicalSocketPath(path);
    KINSOCK_RETURN_IF_ERROR(registry.CheckFree(canonical, hybrid));
    registry.Take(canonical, hybrid, vm_name);
    sockets.registered_.push_back(canonical);
    return ListenWithin(paths.within, path, backlog, permissions);
  };
  KINSOCK_ASSIGN_OR_RETURN(sockets.vhost_user_, listen(paths.vhost_user, kVhostUserBacklog, false));
  if (!paths.uds.empty()) {
    KINSOCK_ASSIGN_OR_RETURN(sockets.uds_, listen(paths.uds, kHybridBacklog, true));
  }
  if (!paths.vsock.has_value()) return sockets;
  for (const uint32_t port : paths.vsock->listen_ports) {
    KINSOCK_RETURN_IF_ERROR(registry.CheckPortFree(port));
    registry.TakePort(port, vm_name);
    sockets.registered_ports_.push_back(port);
    KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, ListenVsock(port, kForwardBacklog));
    sockets.forwards_.push_back({std::move(listener), port});
  }
  return sockets;
}

VmSockets::~VmSockets() {
  RemoveFiles();
  if (!own_directory_.empty()) rmdir(own_directory_.c_str());
  for (const std::string& path : registered_) registry_->Release(path);
  forwards_.clear();  // while they listen, guests must be kept from them
  for (const uint32_t port : registered_ports_) registry_->ReleasePort(port);
}

std::string VmSockets::FindLost() const {
  if (!vhost_user_.IsThere()) return vhost_user_.path();
  return uds_.IsThere() ? "" : uds_.path();
}

void VmSockets::RemoveFiles() {
  vhost_user_.Remove();
  uds_.Remove();
}

}  // namespace kinsock
