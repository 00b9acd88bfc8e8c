// SPDX-License-Identifier: Apache-2.0
#include "device/host_endpoint.h"

#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "device/host_path.h"

namespace kinsock {
namespace {

HostConnection ConnectTcp(const sockaddr_storage& address, socklen_t bytes) {
  UniqueFd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return {.status = HostConnection::Status::kBusy, .socket = UniqueFd()};
  PrepareForwardedSocket(socket.get());
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) == 0) {
    if (IsConnectedToItself(socket.get())) return {};
    return {.status = HostConnection::Status::kConnected, .socket = std::move(socket)};
  }
  if (errno == EINPROGRESS) return {.status = HostConnection::Status::kConnecting, .socket = std::move(socket)};
  // All ports of the dynamic range are in use.
  if (errno == EAGAIN || errno == EADDRNOTAVAIL || errno == EINTR) {
    return {.status = HostConnection::Status::kBusy, .socket = UniqueFd()};
  }
  return {};
}

bool IsTcp(int fd) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6);
}

}  // namespace

HostConnection ConnectEndpoint(const HostEndpoint& endpoint) {
  if (endpoint.kind == HostEndpoint::Kind::kTcp) return ConnectTcp(endpoint.address, endpoint.address_bytes);
  return ConnectSocketFile(endpoint.beneath, endpoint.path, SOCK_STREAM);
}

void PrepareForwardedSocket(int fd) {
  const int on = 1;
  if (IsTcp(fd)) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool IsConnectedToItself(int fd) {
  if (!IsTcp(fd)) return false;
  sockaddr_storage own{}, peer{};
  socklen_t own_bytes = sizeof(own), peer_bytes = sizeof(peer);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_bytes) != 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0) return false;
  return own_bytes == peer_bytes && std::memcmp(&own, &peer, own_bytes) == 0;
}

void ResetOnClose(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (IsTcp(fd)) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

}  // namespace kinsock
