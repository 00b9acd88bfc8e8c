// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_change.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

std::string Describe(const CidRequest& cid) {
  switch (cid.kind) {
    case CidRequest::Kind::kAutomatic:
      return "automatic";
    case CidRequest::Kind::kFixed:
      return absl::StrCat(cid.first);
    case CidRequest::Kind::kRange:
      return absl::StrCat("from ", cid.first, " to ", cid.last);
    case CidRequest::Kind::kReserved:
      return absl::StrCat("networks/", cid.network, "/cids/", cid.first);
  }
  return "";
}

std::string Describe(const std::optional<VsockProxy>& proxy) {
  if (!proxy.has_value()) return "not there";
  return absl::StrCat("to ", proxy->forward_cid, ", with the ports ", absl::StrJoin(proxy->listen_ports, ","));
}

std::string Describe(const std::optional<SocketAccess>& access) {
  if (!access.has_value()) return "not there";
  return absl::StrCat("of ", access->owner.empty() ? "the daemon's user" : access->owner, ":",
                      access->group.empty() ? "the daemon's group" : access->group, ", mode 0",
                      absl::StrFormat("%o", access->mode != 0 ? access->mode : 0660u));
}

// By what was said: a name may have come to be somebody else's.
bool SameAccess(const std::optional<SocketAccess>& one, const std::optional<SocketAccess>& other) {
  if (!one.has_value() || !other.has_value()) return one.has_value() == other.has_value();
  return one->owner == other->owner && one->group == other->group && one->mode == other->mode;
}

uint32_t OrDefault(uint32_t value, uint32_t otherwise) { return value != 0 ? value : otherwise; }

}  // namespace

std::vector<FieldViolation> ImmutableDifferences(const VmSnapshot& vm, const VmSpec& wanted, const VmSocketPaths& paths,
                                                 Compare compare) {
  const VmSpec& spec = vm.definition->spec;
  const bool all = compare == Compare::kAll;
  std::vector<FieldViolation> differences;
  const auto expect = [&](bool said, bool same, const char* field, const std::string& now) {
    if (same || !(all || said)) return;
    differences.push_back({field, absl::StrCat("is ", now, " and cannot change while the VM exists")});
  };
  if (wanted.cid != spec.cid && (all || wanted.cid != CidRequest())) {
    differences.push_back(
        {"vm.spec.cid", absl::StrCat("is ", Describe(spec.cid), " and changes by ResetVm with new_cid only")});
  }
  expect(!wanted.network.empty(), NetworkOf(wanted) == NetworkOf(spec), "vm.spec.network",
         "networks/" + NetworkOf(spec));
  expect(!wanted.vhost_user_socket.empty(), paths.vhost_user == vm.status.vhost_user_socket,
         "vm.spec.vhost_user_socket", vm.status.vhost_user_socket);
  expect(wanted.has_uds, wanted.has_uds == spec.has_uds && wanted.uds_path == spec.uds_path, "vm.spec.uds.path",
         spec.has_uds ? spec.uds_path : "not there");
  expect(wanted.vsock_proxy.has_value(), wanted.vsock_proxy == spec.vsock_proxy, "vm.spec.vsock_proxy",
         Describe(spec.vsock_proxy));
  const uint32_t queue = OrDefault(spec.queue_size, VmSpec::kDefaultQueueSize);
  expect(wanted.queue_size != 0, OrDefault(wanted.queue_size, VmSpec::kDefaultQueueSize) == queue, "vm.spec.queue_size",
         absl::StrCat(queue));
  const uint32_t buffer = OrDefault(spec.tx_buffer_bytes, VmSpec::kDefaultTxBufferBytes);
  expect(wanted.tx_buffer_bytes != 0, OrDefault(wanted.tx_buffer_bytes, VmSpec::kDefaultTxBufferBytes) == buffer,
         "vm.spec.tx_buffer_bytes", absl::StrCat(buffer));
  const bool seqpacket = spec.allow_seqpacket.value_or(true);
  expect(wanted.allow_seqpacket.has_value(), wanted.allow_seqpacket.value_or(true) == seqpacket,
         "vm.spec.allow_seqpacket", seqpacket ? "true" : "false");
  expect(wanted.socket_access.has_value(), SameAccess(wanted.socket_access, spec.socket_access),
         "vm.spec.socket_access", Describe(spec.socket_access));
  return differences;
}

VmUpdate UpdateTo(const VmCreation& wanted) {
  VmUpdate update;
  update.id = wanted.id;
  update.labels = wanted.labels;
  update.annotations = wanted.annotations;
  update.groups = wanted.spec.groups;
  update.orphan_ttl = wanted.spec.orphan_ttl;
  update.readiness = wanted.spec.readiness;
  update.quota = wanted.spec.quota;
  update.quota_fields = AllQuotaFields();
  return update;
}

absl::StatusOr<std::shared_ptr<const VmDefinition>> Change(const std::shared_ptr<const VmDefinition>& current,
                                                           const VmUpdate& update) {
  VmCreation check;
  check.id = current->id;
  check.labels = update.labels.value_or(current->labels);
  check.annotations = update.annotations.value_or(current->annotations);
  check.spec.groups = update.groups.value_or(current->spec.groups);
  check.spec.quota = Merge(current->spec.quota, update.quota, update.quota_fields);
  check.spec.readiness = update.readiness.value_or(current->spec.readiness);
  check.request_id = update.request_id;
  const std::vector<FieldViolation> violations = CheckVm(check);
  if (!violations.empty()) return FieldsInvalid("vm " + Quoted(current->id), violations);

  const bool same_groups = EffectiveGroups(check.spec) == EffectiveGroups(current->spec);
  const std::chrono::milliseconds orphan_ttl = update.orphan_ttl.value_or(current->spec.orphan_ttl);
  if (same_groups && check.labels == current->labels && check.annotations == current->annotations &&
      orphan_ttl == current->spec.orphan_ttl && check.spec.quota == current->spec.quota &&
      check.spec.readiness == current->spec.readiness) {
    return current;
  }
  auto next = std::make_shared<VmDefinition>(*current);
  ++next->generation;
  next->labels = std::move(check.labels);
  next->annotations = std::move(check.annotations);
  next->spec.orphan_ttl = orphan_ttl;
  next->spec.quota = check.spec.quota;
  next->spec.readiness = check.spec.readiness;
  if (!same_groups) next->spec.groups = std::move(check.spec.groups);
  return std::shared_ptr<const VmDefinition>(std::move(next));
}

}  // namespace kinsock
