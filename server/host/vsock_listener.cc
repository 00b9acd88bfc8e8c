// SPDX-License-Identifier: Apache-2.0
#include "server/host/vsock_listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr char kField[] = "vm.spec.vsock_proxy";

// vsock(7): below this, CAP_NET_BIND_SERVICE is needed.
constexpr uint32_t kFirstUnprivilegedPort = 1024;

absl::Status Unavailable(const std::string& what) {
  return Error(absl::StatusCode::kFailedPrecondition, "VSOCK_UNAVAILABLE", absl::StrCat(kField, what));
}

bool NoVsock(int error) { return error == EAFNOSUPPORT || error == EPROTONOSUPPORT || error == ENODEV; }

absl::Status NoVsockHere(int error) {
  return Unavailable(absl::StrCat(
      " needs AF_VSOCK, which this host does not have (", strerror(error),
      "); load a transport, such as vsock_loopback for forward_cid 1, or use uds, which needs nothing of the kernel"));
}

absl::Status Failed(uint32_t port, const char* call) {
  const int error = errno;
  if (NoVsock(error)) return NoVsockHere(error);
  if (error == EADDRINUSE) return VsockPortBusy(port, "is in use by another process of this host", "");
  const bool exhausted = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
  std::string message = absl::StrCat(kField, ".listen_ports: port ", port, ": ", call, ": ", strerror(error));
  if ((error == EACCES || error == EPERM) && port < kFirstUnprivilegedPort) {
    absl::StrAppend(&message, "; choose one from ", kFirstUnprivilegedPort, " up, or give uid ", geteuid(),
                    " CAP_NET_BIND_SERVICE");
  }
  return Error(exhausted ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kFailedPrecondition,
               exhausted ? "QUOTA_EXCEEDED" : "SOCKET_FAILED", message)
      .With("port", absl::StrCat(port));
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

bool Bind(const UniqueFd& fd, Cid cid, uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

absl::StatusOr<UniqueFd> BoundTo(uint32_t port) {
  UniqueFd fd = NewSocket();
  if (!fd.valid()) return Failed(port, "socket");
  if (!Bind(fd, VMADDR_CID_ANY, port)) return Failed(port, "bind");
  return fd;
}

// Whether the kernel takes `cid` for one of its own; a socket can be bound to those only.
bool IsOwnCid(Cid cid) {
  const UniqueFd fd = NewSocket();
  return fd.valid() && Bind(fd, cid, VMADDR_PORT_ANY);
}

}  // namespace

absl::Status VsockPortBusy(uint32_t port, const std::string& reason, const std::string& holder) {
  Error error(absl::StatusCode::kAlreadyExists, "VSOCK_PORT_BUSY",
              absl::StrCat(kField, ".listen_ports: AF_VSOCK port ", port, " ", reason, "; choose another"));
  error.With("port", absl::StrCat(port));
  if (!holder.empty()) error.With("holder", holder);
  return error;
}

absl::Status CheckVsock(Cid forward_cid) {
  const UniqueFd fd = NewSocket();
  if (!fd.valid() && NoVsock(errno)) return NoVsockHere(errno);
  // Without this, calls to the loopback would leave for the hypervisor, which knows nobody of that CID.
  if (forward_cid != kLocalCid || !fd.valid() || IsOwnCid(kLocalCid)) return absl::OkStatus();
  return Unavailable(
      ".forward_cid: 1 is this host by way of its loopback, which its kernel has not loaded; modprobe vsock_loopback, "
      "or choose another CID");
}

// CID 2 is the host's own too when its kernel has a loopback and no hypervisor above it.
bool ReachesThisHost(Cid cid) { return cid == kLocalCid || cid == kHostCid || IsOwnCid(cid); }

absl::Status CheckVsockPort(uint32_t port) { return BoundTo(port).status(); }

absl::StatusOr<UniqueFd> ListenVsock(uint32_t port, int backlog) {
  KINSOCK_ASSIGN_OR_RETURN(UniqueFd fd, BoundTo(port));
  if (listen(fd.get(), backlog) != 0) return Failed(port, "listen");
  return fd;
}

}  // namespace kinsock
