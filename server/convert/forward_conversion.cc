// SPDX-License-Identifier: Apache-2.0
#include "server/convert/forward_conversion.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/convert/change_mask.h"
#include "server/convert/connection_conversion.h"
#include "server/convert/proto_time.h"
#include "server/convert/resource_name.h"
#include "server/convert/socket_access_conversion.h"
#include "server/model/managed_by.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr char kForwardForm[] = "forwards/{forward_id}";

v1::Forward SpecToProto(const ForwardSpec& spec) {
  v1::Forward out;
  out.set_vm(spec.vm);
  out.set_guest_port(spec.guest_port);
  if (spec.direction.has_value()) out.set_direction(spec.to_guest() ? v1::Forward::TO_GUEST : v1::Forward::FROM_GUEST);
  out.set_listen(spec.listen);
  out.set_target(spec.target);
  if (spec.access.has_value()) *out.mutable_socket_access() = ToProto(*spec.access);
  out.set_send_proxy_v2(spec.send_proxy_v2);
  return out;
}

void SetStatus(const ForwardSnapshot& forward, v1::Forward::Status& out) {
  out.set_error(forward.error);
  if (forward.stats == nullptr) return;
  const ForwardStats& stats = *forward.stats;
  out.set_connects(stats.connects.value());
  out.set_refused(stats.refused.value());
  out.set_limited(stats.limited.value());
  out.set_bytes_to_guest(stats.bytes_to_guest.value());
  out.set_bytes_to_host(stats.bytes_to_host.value());
  out.set_open(static_cast<uint64_t>(stats.open.load(std::memory_order_relaxed)));
  const int64_t refused_at = stats.last_refusal_ms.load(std::memory_order_relaxed);
  if (refused_at == 0) return;
  out.set_last_refusal(ReasonToProto(stats.last_refusal.load(std::memory_order_relaxed)));
  SetTimestamp(*out.mutable_last_refusal_time(),
               std::chrono::system_clock::time_point(std::chrono::milliseconds(refused_at)));
}

// What a client says of fields that stay as they are: nothing, or that.
std::vector<FieldViolation> CheckFixed(const v1::Forward& wanted, const v1::Forward& current) {
  std::vector<FieldViolation> violations;
  const auto check = [&](const char* field, bool said, bool same) {
    if (said && !same) {
      violations.push_back(
          {absl::StrCat("forward.", field), "stays as it was made; delete the forward to make another"});
    }
  };
  check("vm", !wanted.vm().empty(), wanted.vm() == current.vm());
  check("direction", wanted.direction() != v1::Forward::DIRECTION_UNSPECIFIED,
        wanted.direction() == current.direction());
  check("listen", !wanted.listen().empty(), wanted.listen() == current.listen());
  check("socket_access", wanted.has_socket_access(),
        wanted.socket_access().SerializeAsString() == current.socket_access().SerializeAsString());
  return violations;
}

}  // namespace

v1::Forward ToProto(const ForwardSnapshot& forward) {
  if (forward.definition == nullptr) return {};
  const ForwardDefinition& definition = *forward.definition;
  v1::Forward out = SpecToProto(definition.spec);
  out.set_name(definition.name());
  out.set_managed_by(definition.configured ? kManagedByFile : kManagedByApi);
  if (definition.uid.empty()) return out;
  out.set_etag(definition.etag());
  out.set_uid(definition.uid);
  out.set_generation(definition.generation);
  SetTimestamp(*out.mutable_create_time(), definition.create_time);
  SetStatus(forward, *out.mutable_status());
  return out;
}

ForwardSpec ToForwardSpec(const v1::Forward& forward) {
  ForwardSpec spec;
  spec.vm = forward.vm();
  spec.guest_port = forward.guest_port();
  if (forward.direction() == v1::Forward::TO_GUEST) spec.direction = Forward::Direction::kToGuest;
  if (forward.direction() == v1::Forward::FROM_GUEST) spec.direction = Forward::Direction::kFromGuest;
  spec.listen = forward.listen();
  spec.target = forward.target();
  if (forward.has_socket_access()) spec.access = ToSocketAccess(forward.socket_access());
  spec.send_proxy_v2 = forward.send_proxy_v2();
  return spec;
}

absl::StatusOr<ForwardCreation> ToForwardCreation(const v1::CreateForwardRequest& request) {
  ForwardCreation creation;
  SetRequest(request, creation);
  creation.id = request.forward_id();
  creation.spec = ToForwardSpec(request.forward());
  return creation;
}

absl::StatusOr<ForwardUpdate> ToForwardUpdate(const v1::UpdateForwardRequest& request) {
  ForwardUpdate update;
  SetRequest(request, update);
  update.etag = request.etag();
  const auto id = ParseForwardName(request.forward().name());
  if (!id.has_value()) return NotAName("forward.name", request.forward().name(), kForwardForm);
  update.id = *id;
  KINSOCK_ASSIGN_OR_RETURN(const google::protobuf::FieldMask mask,
                           ToMask(request.update_mask(), {"guest_port", "target", "send_proxy_v2"}));
  const bool all = request.update_mask().paths().empty() || request.update_mask().paths(0) == "*";
  update.change = [wanted = request.forward(), mask, all](const ForwardSpec& current) -> absl::StatusOr<ForwardSpec> {
    v1::Forward next = SpecToProto(current);
    const std::vector<FieldViolation> fixed = all ? CheckFixed(wanted, next) : std::vector<FieldViolation>();
    if (!fixed.empty()) return FieldsInvalid("", fixed);
    MergeByMask(wanted, mask, next);
    ForwardSpec spec = current;
    spec.guest_port = next.guest_port();
    spec.target = next.target();
    spec.send_proxy_v2 = next.send_proxy_v2();
    return spec;
  };
  return update;
}

absl::StatusOr<ForwardDeletion> ToForwardDeletion(const v1::DeleteForwardRequest& request) {
  ForwardDeletion deletion;
  SetRequest(request, deletion);
  const auto id = ParseForwardName(request.name());
  if (!id.has_value()) return NotAName("name", request.name(), kForwardForm);
  deletion.id = *id;
  deletion.etag = request.etag();
  deletion.uid = request.uid();
  deletion.allow_missing = request.allow_missing();
  deletion.reset_connections = request.reset_connections();
  return deletion;
}

}  // namespace kinsock
