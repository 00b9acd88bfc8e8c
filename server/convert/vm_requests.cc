// SPDX-License-Identifier: Apache-2.0
#include "server/convert/vm_requests.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "google/protobuf/util/field_mask_util.h"
#include "server/convert/quota_conversion.h"
#include "server/convert/request_hash.h"
#include "server/convert/resource_name.h"
#include "server/convert/socket_access_conversion.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using Violations = std::vector<FieldViolation>;

// `field`: the one that it is in.
CidRequest ToCidRequest(const v1::CidRequest& request, const std::string& field, Violations& violations) {
  switch (request.request_case()) {
    case v1::CidRequest::kStaticCid:
      return CidRequest::Fixed(request.static_cid());
    case v1::CidRequest::kRange: {
      CidRequest range = CidRequest::Range(request.range().first(), request.range().last());
      range.sticky = request.sticky();
      return range;
    }
    case v1::CidRequest::kReservation: {
      const auto name = ParseCidName(request.reservation());
      if (name.has_value()) return CidRequest::Reserved(name->first, name->second);
      violations.push_back({field + ".reservation", absl::StrCat(Quoted(request.reservation()),
                                                                 " is no reservation; give the name that ReserveCid "
                                                                 "returned, \"networks/{network_id}/cids/{cid}\"")});
      break;
    }
    case v1::CidRequest::kAutomatic:
      if (!request.automatic()) {
        violations.push_back({field + ".automatic", "is false; set it to true, or choose static_cid or range"});
      }
      break;
    case v1::CidRequest::REQUEST_NOT_SET:
      break;
  }
  CidRequest automatic = CidRequest::Automatic();
  automatic.sticky = request.sticky();
  return automatic;
}

// From 0 to `longest`.
std::chrono::milliseconds ParseTime(const google::protobuf::Duration& time, std::chrono::seconds longest,
                                    const char* field, Violations& violations) {
  const bool sane = time.seconds() >= 0 && time.seconds() <= longest.count() && time.nanos() >= 0 &&
                    time.nanos() < 1'000'000'000 && (time.seconds() < longest.count() || time.nanos() == 0);
  if (!sane) violations.push_back({field, absl::StrCat("is not from 0 to ", longest.count(), " seconds")});
  if (!sane) return {};
  // Rounded up: a time that is not zero must not become zero.
  return std::chrono::seconds(time.seconds()) + std::chrono::milliseconds((time.nanos() + 999'999) / 1'000'000);
}

Readiness ToReadiness(const v1::Readiness& readiness, Violations& violations) {
  switch (readiness.source_case()) {
    case v1::Readiness::kGuestConnectsPort:
      return {Readiness::Source::kGuestConnects, readiness.guest_connects_port()};
    case v1::Readiness::kProbeGuestPort:
      return {Readiness::Source::kProbe, readiness.probe_guest_port()};
    case v1::Readiness::kSdNotifyPort:
      return {Readiness::Source::kNotify, readiness.sd_notify_port()};
    case v1::Readiness::SOURCE_NOT_SET:
      break;
  }
  violations.push_back(
      {"vm.spec.readiness",
       "names no source; give guest_connects_port, probe_guest_port or sd_notify_port, or leave it out"});
  return {};
}

VmSpec ToVmSpec(const v1::VmSpec& spec, Violations& violations) {
  VmSpec out;
  if (!spec.network().empty()) {
    const auto network = ParseNetworkName(spec.network());
    if (!network.has_value()) {
      violations.push_back({"vm.spec.network", absl::StrCat(Quoted(spec.network()),
                                                            " is not the name of a network; give "
                                                            "\"networks/{network_id}\"")});
    } else {
      out.network = *network;
    }
  }
  out.cid = ToCidRequest(spec.cid(), "vm.spec.cid", violations);
  out.vhost_user_socket = spec.vhost_user_socket();
  out.has_uds = spec.has_uds();
  out.uds_path = spec.uds().path();
  if (spec.has_vsock_proxy()) {
    const v1::VsockProxy& proxy = spec.vsock_proxy();
    out.vsock_proxy = VsockProxy{.forward_cid = proxy.forward_cid(),
                                 .listen_ports = {proxy.listen_ports().begin(), proxy.listen_ports().end()}};
  }
  out.groups = {spec.groups().begin(), spec.groups().end()};
  out.queue_size = spec.queue_size();
  out.tx_buffer_bytes = spec.tx_buffer_bytes();
  out.quota = ToQuota(spec.quota());
  if (spec.has_readiness()) out.readiness = ToReadiness(spec.readiness(), violations);
  if (spec.has_socket_access()) out.socket_access = ToSocketAccess(spec.socket_access());
  if (spec.has_allow_seqpacket()) out.allow_seqpacket = spec.allow_seqpacket();
  out.orphan_ttl = ParseTime(spec.orphan_ttl(), kMaxOrphanTtl, "vm.spec.orphan_ttl", violations);
  return out;
}

// What CreateVm and ApplyVm have in common.
template <typename Request>
absl::StatusOr<VmCreation> ToVm(const Request& request) {
  Violations violations;
  VmCreation creation;
  creation.id = request.vm_id();
  creation.request_id = request.request_id();
  creation.validate_only = request.validate_only();
  creation.request_hash = RequestHash(request);
  creation.labels = {request.vm().labels().begin(), request.vm().labels().end()};
  creation.annotations = {request.vm().annotations().begin(), request.vm().annotations().end()};
  creation.spec = ToVmSpec(request.vm().spec(), violations);
  if (violations.empty()) return creation;
  // One of its kind was found here; the client is to see it together with all others.
  for (FieldViolation& other : CheckVm(creation)) violations.push_back(std::move(other));
  return FieldsInvalid("vm " + Quoted(creation.id), violations);
}

// The id in `name`; otherwise says what is wrong with the field `field`.
std::string ParseName(std::string_view name, const char* field, Violations& violations) {
  constexpr std::string_view kPrefix = "vms/";
  if (absl::StartsWith(AbslView(name), AbslView(kPrefix)) && IsVmId(name.substr(kPrefix.size()))) {
    return std::string(name.substr(kPrefix.size()));
  }
  violations.push_back({field, absl::StrCat(Quoted(name), " is not the name of a VM; give \"vms/{vm_id}\"")});
  return "";
}

// A state that a VM of this release can be in.
VmState ParseState(v1::VmStatus::State state, Violations& violations) {
  const std::string name = v1::VmStatus::State_IsValid(state) ? v1::VmStatus::State_Name(state) : "";
  for (const VmState each : kVmStates) {
    if (name == VmStateName(each)) return each;
  }
  violations.push_back({"state", absl::StrCat(name.empty() ? absl::StrCat(static_cast<int>(state)) : name,
                                              " is no state that a VM can be waited for in")});
  return VmState::kUnspecified;
}

bool IsConditionType(const std::string& type) {
  return std::find(kConditionTypes.begin(), kConditionTypes.end(), type) != kConditionTypes.end();
}

// What DrainVm, ResumeVm and ResetVm have in common.
template <typename Request>
VmDrain StartDrain(const Request& request, Violations& violations) {
  VmDrain drain;
  drain.id = ParseName(request.name(), "name", violations);
  drain.etag = request.etag();
  drain.request_id = request.request_id();
  drain.request_hash = RequestHash(request);
  drain.validate_only = request.validate_only();
  CheckRequestId(drain.request_id, violations);
  return drain;
}

constexpr char kMutable[] =
    "\"labels\", \"annotations\", \"spec.groups\", \"spec.quota\", \"spec.readiness\", \"spec.orphan_ttl\" or \"*\"";

// Which fields an update names.
struct Mask {
  bool labels = false;
  bool annotations = false;
  bool groups = false;
  bool orphan_ttl = false;
  bool readiness = false;
  QuotaMask quota;
};

// "spec.quota" is all of it, "spec.quota.max_connections" one limit. None: the path is none of these.
QuotaMask ParseQuotaPath(const std::string& path) {
  constexpr char kQuota[] = "spec.quota";
  if (path == kQuota) return AllQuotaFields();
  QuotaMask mask;
  for (size_t i = 0; i < kQuotaFields.size(); ++i) {
    if (path == absl::StrCat(kQuota, ".", AbslView(kQuotaFields[i]))) mask.set(i);
  }
  return mask;
}

bool IsWithin(const std::string& path, const std::string& field) {
  return path == field || absl::StartsWith(path, field + ".");
}

std::string MaskFault(const std::string& path) {
  if (IsWithin(path, "spec.quota")) {
    return absl::StrCat(Quoted(path),
                        " is no limit of a quota; name \"spec.quota\" or one of its fields, a rate with "
                        "its burst");
  }
  if (IsWithin(path, "spec.readiness")) {
    return absl::StrCat(Quoted(path), " is part of what changes as a whole; name \"spec.readiness\"");
  }
  if (!google::protobuf::util::FieldMaskUtil::IsValidPath<v1::Vm>(path)) {
    return absl::StrCat(Quoted(path), " is no field of a VM; name ", kMutable);
  }
  if (IsWithin(path, "spec.cid")) {
    return absl::StrCat(Quoted(path), " is immutable here: ResetVm with new_cid changes it; name ", kMutable);
  }
  if (IsWithin(path, "spec")) {
    return absl::StrCat(Quoted(path), " is immutable while the VM exists; name ", kMutable);
  }
  return absl::StrCat(Quoted(path), " is immutable: the daemon says it; name ", kMutable);
}

Mask ParseMask(const v1::UpdateVmRequest& request, Violations& violations) {
  Mask mask;
  const v1::Vm& vm = request.vm();
  if (!request.has_update_mask() || request.update_mask().paths().empty()) {
    return {!vm.labels().empty(),        !vm.annotations().empty(),
            !vm.spec().groups().empty(), vm.spec().has_orphan_ttl(),
            vm.spec().has_readiness(),   vm.spec().has_quota() ? AllQuotaFields() : QuotaMask()};
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "*") {
      mask = {true, true, true, true, true, AllQuotaFields()};
    } else if (path == "labels") {
      mask.labels = true;
    } else if (path == "annotations") {
      mask.annotations = true;
    } else if (path == "spec.groups") {
      mask.groups = true;
    } else if (path == "spec.orphan_ttl") {
      mask.orphan_ttl = true;
    } else if (path == "spec.readiness") {
      mask.readiness = true;
    } else if (const QuotaMask quota = ParseQuotaPath(path); quota.any()) {
      mask.quota |= quota;
    } else {
      violations.push_back({"update_mask", MaskFault(path)});
    }
  }
  return mask;
}

// Whether the rest of the spec is looked at: unless the mask says precisely what is meant.
bool ReadsAll(const v1::UpdateVmRequest& request) {
  const auto& paths = request.update_mask().paths();
  return paths.empty() || std::find(paths.begin(), paths.end(), "*") != paths.end();
}

}  // namespace

absl::StatusOr<VmCreation> ToVmCreation(const v1::CreateVmRequest& request) { return ToVm(request); }

absl::StatusOr<VmApplication> ToVmApplication(const v1::ApplyVmRequest& request) {
  absl::StatusOr<VmCreation> vm = ToVm(request);
  if (!vm.ok()) return vm.status();
  return VmApplication{.vm = *std::move(vm), .etag = request.etag(), .force_conflicts = request.force_conflicts()};
}

absl::StatusOr<VmUpdate> ToVmUpdate(const v1::UpdateVmRequest& request) {
  Violations violations;
  VmUpdate update;
  const v1::Vm& vm = request.vm();
  update.id = ParseName(vm.name(), "vm.name", violations);
  update.etag = request.etag();
  update.request_id = request.request_id();
  update.request_hash = RequestHash(request);
  update.validate_only = request.validate_only();
  const Mask mask = ParseMask(request, violations);
  if (mask.labels) update.labels.emplace(vm.labels().begin(), vm.labels().end());
  if (mask.annotations) update.annotations.emplace(vm.annotations().begin(), vm.annotations().end());
  if (mask.groups) update.groups.emplace(vm.spec().groups().begin(), vm.spec().groups().end());
  if (mask.orphan_ttl) {
    update.orphan_ttl = ParseTime(vm.spec().orphan_ttl(), kMaxOrphanTtl, "vm.spec.orphan_ttl", violations);
  }
  if (mask.readiness) {
    const v1::VmSpec& spec = vm.spec();
    update.readiness = spec.has_readiness() ? ToReadiness(spec.readiness(), violations) : Readiness();
  }
  update.quota_fields = mask.quota;
  if (mask.quota.any()) update.quota = ToQuota(vm.spec().quota());
  if (ReadsAll(request)) update.also = ToVmSpec(vm.spec(), violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return update;
}

absl::StatusOr<VmGoal> ToVmGoal(const v1::WaitVmRequest& request) {
  Violations violations;
  VmGoal goal;
  goal.id = ParseName(request.name(), "name", violations);
  goal.min_generation = request.min_generation();
  switch (request.goal_case()) {
    case v1::WaitVmRequest::kState:
      goal.kind = VmGoal::Kind::kState;
      goal.state = ParseState(request.state(), violations);
      break;
    case v1::WaitVmRequest::kCondition:
      goal.kind = VmGoal::Kind::kCondition;
      goal.condition = request.condition();
      if (!IsConditionType(goal.condition)) {
        violations.push_back({"condition", absl::StrCat(Quoted(goal.condition), " is no condition; use one of ",
                                                        absl::StrJoin(kConditionTypes, ", "))});
      }
      break;
    case v1::WaitVmRequest::kDeleted:
      goal.kind = VmGoal::Kind::kDeleted;
      if (!request.deleted()) violations.push_back({"deleted", "is false; set it to true, or name another goal"});
      if (request.min_generation() != 0) {
        violations.push_back({"min_generation", "is of no use with deleted; leave it out"});
      }
      break;
    case v1::WaitVmRequest::GOAL_NOT_SET:
      if (request.min_generation() == 0) {
        violations.push_back({"goal", "is missing; give state, condition, deleted or min_generation"});
      }
      break;
  }
  if (request.min_generation() < 0) violations.push_back({"min_generation", "is negative"});
  if (request.status() == v1::Condition::FALSE) {
    goal.holds = false;
  } else if (request.status() != v1::Condition::TRUE && request.status() != v1::Condition::STATUS_UNSPECIFIED) {
    violations.push_back({"status", "is neither TRUE nor FALSE"});
  }
  if (request.status() != v1::Condition::STATUS_UNSPECIFIED && goal.kind != VmGoal::Kind::kCondition) {
    violations.push_back({"status", "is of no use without condition; leave it out"});
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return goal;
}

absl::StatusOr<VmDrain> ToVmDrain(const v1::DrainVmRequest& request) {
  Violations violations;
  VmDrain drain = StartDrain(request, violations);
  const std::chrono::milliseconds deadline = ParseTime(request.deadline(), kMaxDrainDeadline, "deadline", violations);
  if (request.reset_remaining()) {
    drain.reset_after = deadline;
  } else if (request.has_deadline()) {
    violations.push_back({"deadline", "is of no use without reset_remaining; set that, or leave this out"});
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return drain;
}

absl::StatusOr<VmDrain> ToVmDrain(const v1::ResumeVmRequest& request) {
  Violations violations;
  VmDrain drain = StartDrain(request, violations);
  drain.action = VmDrain::Action::kResume;
  if (!violations.empty()) return FieldsInvalid("", violations);
  return drain;
}

absl::StatusOr<VmReset> ToVmReset(const v1::ResetVmRequest& request) {
  Violations violations;
  VmReset reset{.drain = StartDrain(request, violations), .new_cid = std::nullopt};
  reset.drain.action = VmDrain::Action::kReset;
  if (request.has_new_cid()) {
    reset.new_cid = ToCidRequest(request.new_cid(), "new_cid", violations);
    CheckCidRequest(*reset.new_cid, "new_cid", violations);
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return reset;
}

absl::StatusOr<VmDeletion> ToVmDeletion(const v1::DeleteVmRequest& request) {
  Violations violations;
  VmDeletion deletion;
  deletion.id = ParseName(request.name(), "name", violations);
  deletion.etag = request.etag();
  deletion.uid = request.uid();
  deletion.force = request.force();
  deletion.allow_missing = request.allow_missing();
  deletion.keep_cid = request.keep_cid();
  deletion.drain_timeout = ParseTime(request.drain_timeout(), kMaxDrainDeadline, "drain_timeout", violations);
  deletion.request_id = request.request_id();
  deletion.request_hash = RequestHash(request);
  deletion.validate_only = request.validate_only();
  CheckRequestId(deletion.request_id, violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return deletion;
}

absl::StatusOr<std::string> ToVmId(std::string_view name) {
  Violations violations;
  std::string id = ParseName(name, "name", violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return id;
}

}  // namespace kinsock
