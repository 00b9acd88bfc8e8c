// SPDX-License-Identifier: Apache-2.0
#include "server/manager/forward_place.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/host/placed_socket.h"
#include "server/host/tcp_endpoint.h"
#include "server/model/forward_address.h"

namespace kinsock {
namespace {

// As of hybrid sockets.
constexpr int kBacklog = 128;

absl::StatusOr<UniqueFd> ListenTcp(const HostEndpoint& endpoint) {
  const TcpEndpoint tcp = TcpEndpoint::Of(endpoint.address, endpoint.address_bytes);
  absl::StatusOr<UniqueFd> fd = tcp.TryListen(kBacklog);
  if (fd.ok()) return fd;
  const bool busy = absl::IsAlreadyExists(fd.status());
  return Error(fd.status().code(), busy ? "TCP_PORT_BUSY" : "SOCKET_FAILED",
               absl::StrCat(fd.status().message(), busy ? "; choose another" : ""))
      .With("address", tcp.place());
}

}  // namespace

absl::Status ForwardPlace::Check(const ForwardSpec& spec, const SocketRegistry& registry, const SocketDirs* within,
                                 std::vector<FieldViolation>& violations) {
  KINSOCK_ASSIGN_OR_RETURN(const HostEndpoint endpoint, ParseForwardAddress(spec.address()));
  const bool is_unix = endpoint.kind == HostEndpoint::Kind::kUnix;
  if (spec.to_guest()) {
    KINSOCK_RETURN_IF_ERROR(registry.CheckFree(PlaceOf(endpoint), false));
    return is_unix ? CheckSocketPlace("forward.listen", endpoint.path, false, within, violations) : absl::OkStatus();
  }
  KINSOCK_RETURN_IF_ERROR(registry.CheckTarget(PlaceOf(endpoint)));
  // Whether somebody is there shows when the guest calls.
  const std::string fault = is_unix && within != nullptr ? within->Fault(endpoint.path) : "";
  if (!fault.empty()) violations.push_back({"forward.target", absl::StrCat(Quoted(endpoint.path), " ", fault)});
  return absl::OkStatus();
}

absl::StatusOr<ForwardPlace> ForwardPlace::Take(const ForwardSpec& spec, const std::string& holder,
                                                SocketRegistry& registry, const SocketDirs* within) {
  ForwardPlace place(registry, holder);
  KINSOCK_ASSIGN_OR_RETURN(place.endpoint_, ParseForwardAddress(spec.address()));
  HostEndpoint& endpoint = place.endpoint_;
  const std::string known_as = PlaceOf(endpoint);
  if (!spec.to_guest()) {
    KINSOCK_RETURN_IF_ERROR(registry.CheckTarget(known_as));
    if (within != nullptr) endpoint.beneath = within->Above(endpoint.path);
    registry.TakeTarget(known_as, holder);
    place.target_ = known_as;
    return place;
  }
  KINSOCK_RETURN_IF_ERROR(registry.CheckFree(known_as, false));
  registry.Take(known_as, false, holder);
  place.taken_ = known_as;
  if (endpoint.kind == HostEndpoint::Kind::kUnix) {
    KINSOCK_ASSIGN_OR_RETURN(
        place.socket_, ListenWithin(within, endpoint.path, kBacklog, PermissionsOf(spec.access, SocketPermissions())));
    return place;
  }
  KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, ListenTcp(endpoint));
  place.socket_ = BoundSocket::WithoutFile(std::move(listener));
  return place;
}

ForwardPlace::ForwardPlace(ForwardPlace&& other) noexcept : registry_(other.registry_) { *this = std::move(other); }

ForwardPlace& ForwardPlace::operator=(ForwardPlace&& other) noexcept {
  if (this == &other) return *this;
  Release();
  registry_ = other.registry_;
  holder_ = std::move(other.holder_);
  endpoint_ = std::move(other.endpoint_);
  taken_ = std::exchange(other.taken_, std::string());
  target_ = std::exchange(other.target_, std::string());
  socket_ = std::move(other.socket_);
  return *this;
}

void ForwardPlace::Release() {
  socket_.Remove();
  if (!taken_.empty()) registry_->Release(taken_);
  if (!target_.empty()) registry_->ReleaseTarget(target_, holder_);
  taken_.clear();
  target_.clear();
}

}  // namespace kinsock
