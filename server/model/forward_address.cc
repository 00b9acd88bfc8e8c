// SPDX-License-Identifier: Apache-2.0
#include "server/model/forward_address.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/socket_path.h"
#include "server/host/tcp_endpoint.h"

namespace kinsock {

absl::StatusOr<HostEndpoint> ParseForwardAddress(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  HostEndpoint endpoint;
  if (absl::StartsWith(AbslView(text), AbslView(kUnix))) {
    endpoint.path = std::string(text.substr(kUnix.size()));
    const std::string fault = SocketPathFault(endpoint.path, kMaxSocketPathBytes);
    if (!fault.empty()) return absl::InvalidArgumentError(fault);
    return endpoint;
  }
  if (!TcpEndpoint::IsTcp(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is no socket; give unix:/PATH, tcp:127.0.0.1:PORT or tcp:[::1]:PORT"));
  }
  const absl::StatusOr<TcpEndpoint> tcp = TcpEndpoint::Parse(text);
  if (!tcp.ok()) return tcp.status();
  if (!tcp->is_loopback()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is not on the loopback interface; give 127.0.0.1 or [::1]"));
  }
  if (tcp->port() == 0) return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " has no port; give 1 to 65535"));
  endpoint.kind = HostEndpoint::Kind::kTcp;
  endpoint.address = tcp->address();
  endpoint.address_bytes = tcp->length();
  return endpoint;
}

std::string PlaceOf(const HostEndpoint& endpoint) {
  if (endpoint.kind == HostEndpoint::Kind::kUnix) return CanonicalSocketPath(endpoint.path);
  return TcpEndpoint::Of(endpoint.address, endpoint.address_bytes).place();
}

}  // namespace kinsock
