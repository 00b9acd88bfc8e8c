// SPDX-License-Identifier: Apache-2.0
#include "server/convert/vm_conversion.h"

#include "absl/strings/str_cat.h"
#include "server/convert/proto_time.h"
#include "server/convert/quota_conversion.h"
#include "server/convert/socket_access_conversion.h"
#include "server/model/managed_by.h"
#include "server/model/resource_version.h"

namespace kinsock {
namespace {

void SetCid(const CidRequest& cid, v1::CidRequest& out) {
  switch (cid.kind) {
    case CidRequest::Kind::kAutomatic:
      out.set_automatic(true);
      break;
    case CidRequest::Kind::kFixed:
      out.set_static_cid(cid.first);
      break;
    case CidRequest::Kind::kRange:
      out.mutable_range()->set_first(cid.first);
      out.mutable_range()->set_last(cid.last);
      break;
    case CidRequest::Kind::kReserved:
      out.set_reservation(absl::StrCat("networks/", cid.network, "/cids/", cid.first));
      break;
  }
  out.set_sticky(cid.sticky);
}

void SetReadiness(const Readiness& readiness, v1::Readiness& out) {
  switch (readiness.source) {
    case Readiness::Source::kNone:
      return;
    case Readiness::Source::kGuestConnects:
      return out.set_guest_connects_port(readiness.port);
    case Readiness::Source::kProbe:
      return out.set_probe_guest_port(readiness.port);
    case Readiness::Source::kNotify:
      return out.set_sd_notify_port(readiness.port);
  }
}

v1::VmSpec SpecToProto(const VmSpec& spec) {
  v1::VmSpec out;
  if (!spec.network.empty()) out.set_network("networks/" + spec.network);
  SetCid(spec.cid, *out.mutable_cid());
  out.set_vhost_user_socket(spec.vhost_user_socket);
  if (spec.has_uds) out.mutable_uds()->set_path(spec.uds_path);
  if (spec.vsock_proxy.has_value()) {
    v1::VsockProxy& proxy = *out.mutable_vsock_proxy();
    proxy.set_forward_cid(spec.vsock_proxy->forward_cid);
    for (const uint32_t port : spec.vsock_proxy->listen_ports) proxy.add_listen_ports(port);
  }
  for (const std::string& group : spec.groups) out.add_groups(group);
  out.set_queue_size(spec.queue_size);
  out.set_tx_buffer_bytes(spec.tx_buffer_bytes);
  if (spec.quota != Quota()) *out.mutable_quota() = ToProto(spec.quota);
  if (spec.readiness.source != Readiness::Source::kNone) SetReadiness(spec.readiness, *out.mutable_readiness());
  if (spec.socket_access.has_value()) *out.mutable_socket_access() = ToProto(*spec.socket_access);
  if (spec.allow_seqpacket.has_value()) out.set_allow_seqpacket(*spec.allow_seqpacket);
  if (spec.orphan_ttl.count() > 0) SetDuration(*out.mutable_orphan_ttl(), spec.orphan_ttl);
  return out;
}

v1::VmStatus::State StateToProto(VmState state) {
  switch (state) {
    case VmState::kUnspecified:
      break;
    case VmState::kProvisioning:
      return v1::VmStatus::PROVISIONING;
    case VmState::kListening:
      return v1::VmStatus::LISTENING;
    case VmState::kConnected:
      return v1::VmStatus::CONNECTED;
    case VmState::kActive:
      return v1::VmStatus::ACTIVE;
    case VmState::kSuspended:
      return v1::VmStatus::SUSPENDED;
    case VmState::kDraining:
      return v1::VmStatus::DRAINING;
    case VmState::kDrained:
      return v1::VmStatus::DRAINED;
    case VmState::kDeleting:
      return v1::VmStatus::DELETING;
    case VmState::kFailed:
      return v1::VmStatus::FAILED;
  }
  return v1::VmStatus::STATE_UNSPECIFIED;
}

void SetStatus(const VmSnapshot& vm, v1::VmStatus& out) {
  const VmStatus& status = vm.status;
  out.set_state(StateToProto(status.state));
  out.set_cid(status.cid);
  out.set_driver_cid(status.driver_cid);
  out.set_vhost_user_socket(status.vhost_user_socket);
  out.set_uds_path(status.uds_path);
  if (status.state == VmState::kUnspecified) return;  // only validated: there is nothing to observe
  out.set_observed_generation(status.observed_generation);
  if (status.front_end.has_value()) {
    v1::FrontEnd& front_end = *out.mutable_front_end();
    front_end.set_pid(status.front_end->pid);
    front_end.set_uid(status.front_end->uid);
    front_end.set_gid(status.front_end->gid);
    front_end.set_features(status.front_end->features);
    front_end.set_protocol_features(status.front_end->protocol_features);
    front_end.set_memory_regions(status.front_end->memory_regions);
    SetTimestamp(*front_end.mutable_since(), status.front_end->since);
  }
  for (const Condition& condition : status.conditions) {
    v1::Condition& into = *out.add_conditions();
    into.set_type(condition.type);
    into.set_status(!condition.known  ? v1::Condition::UNKNOWN
                    : condition.holds ? v1::Condition::TRUE
                                      : v1::Condition::FALSE);
    into.set_observed_generation(status.observed_generation);
    SetTimestamp(*into.mutable_last_transition_time(), condition.last_transition);
    into.set_reason(condition.reason);
    into.set_message(condition.message);
  }
}

}  // namespace

v1::Vm ToProto(const VmSnapshot& vm, const std::string& epoch) {
  v1::Vm out;
  out.set_name(vm.definition->name());
  *out.mutable_spec() = SpecToProto(vm.definition->spec);
  out.mutable_labels()->insert(vm.definition->labels.begin(), vm.definition->labels.end());
  out.mutable_annotations()->insert(vm.definition->annotations.begin(), vm.definition->annotations.end());
  out.set_managed_by(vm.definition->configured ? kManagedByFile : kManagedByApi);
  SetStatus(vm, *out.mutable_status());
  if (vm.definition->uid.empty()) return out;
  out.set_uid(vm.definition->uid);
  out.set_generation(vm.definition->generation);
  out.set_resource_version(ResourceVersion{epoch, vm.version}.ToString());
  out.set_etag(vm.definition->etag());
  SetTimestamp(*out.mutable_create_time(), vm.definition->create_time);
  return out;
}

v1::WatchVmsResponse ToProto(const VmEvent& event, const std::string& epoch) {
  v1::WatchVmsResponse out;
  switch (event.type) {
    case VmEvent::Type::kAdded:
      out.set_type(v1::WatchVmsResponse::ADDED);
      break;
    case VmEvent::Type::kModified:
      out.set_type(v1::WatchVmsResponse::MODIFIED);
      break;
    case VmEvent::Type::kDeleted:
      out.set_type(v1::WatchVmsResponse::DELETED);
      break;
  }
  *out.mutable_vm() = ToProto(*event.vm, epoch);
  out.set_resource_version(out.vm().resource_version());
  return out;
}

}  // namespace kinsock
