// SPDX-License-Identifier: Apache-2.0
#include "server/host/tcp_endpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr absl::string_view kPrefix = "tcp:";

absl::Status Malformed(std::string_view endpoint) {
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(endpoint), " is not an address; give tcp:127.0.0.1:PORT or tcp:[::1]:PORT, in numbers"));
}

}  // namespace

bool TcpEndpoint::IsTcp(std::string_view endpoint) { return absl::StartsWith(AbslView(endpoint), kPrefix); }

absl::StatusOr<TcpEndpoint> TcpEndpoint::Parse(std::string_view endpoint) {
  TcpEndpoint parsed;
  const absl::string_view text = absl::StripPrefix(AbslView(endpoint), kPrefix);
  parsed.text_ = std::string(text);
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) {
    return Malformed(endpoint);
  }
  std::string host(text.substr(0, colon));
  auto& v4 = reinterpret_cast<sockaddr_in&>(parsed.address_);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(parsed.address_);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(port));
    parsed.length_ = sizeof(v4);
    return parsed;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(static_cast<uint16_t>(port));
      parsed.length_ = sizeof(v6);
      return parsed;
    }
  }
  return Malformed(endpoint);
}

TcpEndpoint TcpEndpoint::Of(const sockaddr_storage& address, socklen_t length) {
  TcpEndpoint made;
  made.address_ = address;
  made.length_ = length;
  made.text_ = made.place().substr(kPrefix.size());
  return made;
}

absl::StatusOr<UniqueFd> TcpEndpoint::TryListen(int backlog) const {
  UniqueFd fd(socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  // A daemon that starts anew is not to wait for the last one's connections to be forgotten.
  if (fd.valid() && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address_), length_) == 0 && listen(fd.get(), backlog) == 0) {
    return fd;
  }
  const int error = errno;
  return absl::Status(error == EADDRINUSE ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kFailedPrecondition,
                      absl::StrCat("tcp:", text_, " cannot be listened on: ", strerror(error)));
}

absl::StatusOr<UniqueFd> TcpEndpoint::Listen(int backlog, std::string_view setting) const {
  absl::StatusOr<UniqueFd> fd = TryListen(backlog);
  if (fd.ok()) return fd;
  return Error(fd.status().code(), "SOCKET_FAILED", absl::StrCat(AbslView(setting), ": ", fd.status().message()));
}

uint16_t TcpEndpoint::port() const {
  return ntohs(address_.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address_).sin_port
                                             : reinterpret_cast<const sockaddr_in6&>(address_).sin6_port);
}

bool TcpEndpoint::is_loopback() const {
  if (address_.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address_).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address_).sin6_addr);
}

std::string TcpEndpoint::place() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (address_.ss_family == AF_INET) {
    const in_addr& v4 = reinterpret_cast<const sockaddr_in&>(address_).sin_addr;
    if (v4.s_addr == htonl(INADDR_ANY)) return absl::StrCat(kPrefix, "*:", port());
    inet_ntop(AF_INET, &v4, host, sizeof(host));
    return absl::StrCat(kPrefix, host, ":", port());
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address_).sin6_addr;
  if (IN6_IS_ADDR_UNSPECIFIED(&v6)) return absl::StrCat(kPrefix, "*:", port());
  // ::ffff:a.b.c.d is a.b.c.d to who connects.
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, &v6.s6_addr[12], host, sizeof(host));
    return absl::StrCat(kPrefix, host, ":", port());
  }
  inet_ntop(AF_INET6, &v6, host, sizeof(host));
  return absl::StrCat(kPrefix, "[", host, "]:", port());
}

}  // namespace kinsock
