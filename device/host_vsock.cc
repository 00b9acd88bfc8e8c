// SPDX-License-Identifier: Apache-2.0
#include "device/host_vsock.h"

#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include <cerrno>
#include <utility>

namespace kinsock {

HostConnection ConnectHostVsock(Cid cid, uint32_t port) {
  UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) {
    const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
    return {.status = exhausted ? HostConnection::Status::kBusy : HostConnection::Status::kRefused,
            .socket = UniqueFd()};
  }
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return {.status = HostConnection::Status::kConnected, .socket = std::move(socket)};
  }
  if (errno == EINPROGRESS) return {.status = HostConnection::Status::kConnecting, .socket = std::move(socket)};
  return {};
}

int ConnectOutcome(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error != 0) return error;
  sockaddr_vm peer{};
  size = sizeof(peer);
  return getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 ? 0 : errno;
}

bool VsockPeer(int fd, Cid& cid, uint32_t& port) {
  sockaddr_vm peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || peer.svm_family != AF_VSOCK) return false;
  cid = peer.svm_cid;
  port = peer.svm_port;
  return true;
}

bool VsockPeerIsGone(int fd) {
  char nothing = 0;
  return send(fd, &nothing, 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EINTR;
}

}  // namespace kinsock
