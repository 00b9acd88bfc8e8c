// SPDX-License-Identifier: Apache-2.0
#include "server/convert/network_conversion.h"

#include <chrono>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/convert/change_mask.h"
#include "server/convert/proto_time.h"
#include "server/convert/quota_conversion.h"
#include "server/convert/request_hash.h"
#include "server/model/managed_by.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

using google::protobuf::FieldMask;

constexpr char kNetworkForm[] = "networks/{network_id}";
constexpr char kPolicyForm[] = "networks/{network_id}/policies/{policy_id}";

// A reservation may outlive a holiday, not the one who made it.
constexpr std::chrono::seconds kMaxReservation{30 * 24 * 60 * 60};
constexpr std::chrono::seconds kDefaultReservation{60 * 60};
constexpr size_t kMaxHolderBytes = 128;

void SetRange(const CidSpan& span, v1::CidRange& range) {
  range.set_first(span.first);
  range.set_last(span.last);
}

CidSpan ToSpan(const v1::CidRange& range) { return {range.first(), range.last()}; }

void SetSelector(const PolicySelector& selector, v1::Policy::Selector& out) {
  out.mutable_labels()->insert(selector.labels.begin(), selector.labels.end());
  *out.mutable_groups() = {selector.groups.begin(), selector.groups.end()};
  out.set_host(selector.host);
  if (selector.cids.has_value()) SetRange(*selector.cids, *out.mutable_cid_range());
  out.set_vm(selector.vm);
}

PolicySelector ToSelector(const v1::Policy::Selector& selector) {
  PolicySelector out;
  out.host = selector.host();
  out.vm = selector.vm();
  out.groups = {selector.groups().begin(), selector.groups().end()};
  out.labels = {selector.labels().begin(), selector.labels().end()};
  if (selector.has_cid_range()) out.cids = ToSpan(selector.cid_range());
  return out;
}

// Rounded up to milliseconds; nothing if it is no time from 0 to `longest`.
std::optional<std::chrono::milliseconds> ToTime(const google::protobuf::Duration& time, std::chrono::seconds longest) {
  if (time.seconds() < 0 || time.nanos() < 0 || time.nanos() >= 1'000'000'000) return std::nullopt;
  if (time.seconds() > longest.count() || (time.seconds() == longest.count() && time.nanos() > 0)) return std::nullopt;
  return std::chrono::seconds(time.seconds()) + std::chrono::milliseconds((time.nanos() + 999'999) / 1'000'000);
}

v1::Network SpecToProto(const NetworkSpec& spec) {
  v1::Network out;
  SetRange(spec.cids, *out.mutable_cid_range());
  for (const CidSpan& span : spec.reserved) SetRange(span, *out.add_reserved_ranges());
  SetDuration(*out.mutable_quarantine(), spec.quarantine);
  out.set_default_policy(ToProto(spec.otherwise));
  if (spec.quota != Quota()) *out.mutable_quota() = ToProto(spec.quota);
  return out;
}

v1::Policy SpecToProto(const PolicySpec& spec) {
  v1::Policy out;
  out.set_priority(spec.priority);
  out.set_allow(spec.allow);
  SetSelector(spec.from, *out.mutable_from());
  SetSelector(spec.to, *out.mutable_to());
  for (const PortSpan& span : spec.ports) {
    v1::Policy::PortRange& range = *out.add_ports();
    range.set_first(span.first);
    range.set_last(span.last);
  }
  out.set_log(spec.log);
  out.set_reset_existing(spec.reset_existing);
  return out;
}

absl::Status Invalid(const char* field, std::string description) {
  return FieldsInvalid("", {{field, std::move(description)}});
}

}  // namespace

v1::Network::DefaultPolicy ToProto(DefaultPolicy otherwise) {
  switch (otherwise) {
    case DefaultPolicy::kSharedGroup:
      break;
    case DefaultPolicy::kAllow:
      return v1::Network::ALLOW;
    case DefaultPolicy::kDeny:
      return v1::Network::DENY;
  }
  return v1::Network::SHARED_GROUP;
}

v1::Network ToProto(const NetworkSnapshot& network) {
  if (network.definition == nullptr) return {};
  const NetworkDefinition& definition = *network.definition;
  v1::Network out = SpecToProto(definition.spec);
  out.set_name(definition.name());
  out.set_managed_by(definition.configured ? kManagedByFile : kManagedByApi);
  out.set_vms(static_cast<uint32_t>(network.vms));
  out.set_policies(static_cast<uint32_t>(network.policies));
  out.set_default_allowed(network.default_allowed);
  out.set_default_denied(network.default_denied);
  if (definition.uid.empty()) return out;
  out.set_etag(definition.etag());
  out.set_uid(definition.uid);
  out.set_generation(definition.generation);
  SetTimestamp(*out.mutable_create_time(), definition.create_time);
  return out;
}

v1::Policy ToProto(const PolicyDefinition& policy) {
  v1::Policy out = SpecToProto(policy.spec);
  out.set_name(policy.name());
  out.set_hits(policy.hits->value());
  out.set_managed_by(policy.configured ? kManagedByFile : kManagedByApi);
  if (policy.uid.empty()) return out;
  out.set_etag(policy.etag());
  out.set_uid(policy.uid);
  out.set_generation(policy.generation);
  SetTimestamp(*out.mutable_create_time(), policy.create_time);
  return out;
}

v1::CidLease ToProto(const CidLease& lease) {
  v1::CidLease out;
  out.set_network("networks/" + lease.network);
  out.set_cid(lease.lease.cid);
  out.set_name(absl::StrCat(out.network(), "/cids/", lease.lease.cid));
  out.set_holder(lease.lease.holder);
  const auto until = std::chrono::system_clock::now() +
                     std::chrono::duration_cast<std::chrono::system_clock::duration>(lease.lease.left);
  switch (lease.lease.state) {
    case CidAllocator::Lease::State::kAllocated:
      out.set_state(v1::CidLease::ALLOCATED);
      break;
    case CidAllocator::Lease::State::kReserved:
      out.set_state(v1::CidLease::RESERVED);
      SetTimestamp(*out.mutable_expire_time(), until);
      break;
    case CidAllocator::Lease::State::kResting:
      out.set_state(v1::CidLease::QUARANTINED);
      SetTimestamp(*out.mutable_quarantine_until(), until);
      break;
  }
  return out;
}

absl::StatusOr<NetworkSpec> ToNetworkSpec(const v1::Network& network) {
  NetworkSpec spec;
  if (network.has_cid_range()) spec.cids = ToSpan(network.cid_range());
  for (const v1::CidRange& range : network.reserved_ranges()) spec.reserved.push_back(ToSpan(range));
  if (network.has_quarantine()) {
    // Any time; network_validation knows the bounds.
    const auto time = ToTime(network.quarantine(), std::chrono::hours(365 * 24));
    if (!time.has_value()) return Invalid("network.quarantine", "is not from 0 to 86400 seconds");
    spec.quarantine = *time;
  }
  spec.quota = ToQuota(network.quota());
  switch (network.default_policy()) {
    case v1::Network::DEFAULT_POLICY_UNSPECIFIED:
    case v1::Network::SHARED_GROUP:
      return spec;
    case v1::Network::ALLOW:
      spec.otherwise = DefaultPolicy::kAllow;
      return spec;
    case v1::Network::DENY:
      spec.otherwise = DefaultPolicy::kDeny;
      return spec;
    default:
      return Invalid("network.default_policy", absl::StrCat(static_cast<int>(network.default_policy()),
                                                            " is none; give SHARED_GROUP, ALLOW or DENY"));
  }
}

absl::StatusOr<PolicySpec> ToPolicySpec(const v1::Policy& policy) {
  PolicySpec spec;
  spec.priority = policy.priority();
  spec.allow = policy.allow();
  spec.log = policy.log();
  spec.reset_existing = policy.reset_existing();
  spec.from = ToSelector(policy.from());
  spec.to = ToSelector(policy.to());
  for (const v1::Policy::PortRange& range : policy.ports()) {
    spec.ports.push_back({range.first(), range.last() != 0 ? range.last() : range.first()});
  }
  return spec;
}

absl::StatusOr<NetworkCreation> ToNetworkCreation(const v1::CreateNetworkRequest& request) {
  NetworkCreation creation;
  SetRequest(request, creation);
  creation.id = request.network_id();
  KINSOCK_ASSIGN_OR_RETURN(creation.spec, ToNetworkSpec(request.network()));
  return creation;
}

absl::StatusOr<NetworkUpdate> ToNetworkUpdate(const v1::UpdateNetworkRequest& request) {
  NetworkUpdate update;
  SetRequest(request, update);
  update.etag = request.etag();
  const auto id = ParseNetworkName(request.network().name());
  if (!id.has_value()) return NotAName("network.name", request.network().name(), kNetworkForm);
  update.id = *id;
  KINSOCK_ASSIGN_OR_RETURN(
      const FieldMask mask,
      ToMask(request.update_mask(), {"cid_range", "reserved_ranges", "quarantine", "default_policy", "quota"}));
  update.change = [wanted = request.network(), mask](const NetworkSpec& current) {
    v1::Network next = SpecToProto(current);
    MergeByMask(wanted, mask, next);
    return ToNetworkSpec(next);
  };
  return update;
}

absl::StatusOr<NetworkDeletion> ToNetworkDeletion(const v1::DeleteNetworkRequest& request) {
  NetworkDeletion deletion;
  SetRequest(request, deletion);
  const auto id = ParseNetworkName(request.name());
  if (!id.has_value()) return NotAName("name", request.name(), kNetworkForm);
  deletion.id = *id;
  deletion.etag = request.etag();
  deletion.force = request.force();
  deletion.allow_missing = request.allow_missing();
  return deletion;
}

absl::StatusOr<PolicyCreation> ToPolicyCreation(const v1::CreatePolicyRequest& request) {
  PolicyCreation creation;
  SetRequest(request, creation);
  const auto network = ParseNetworkName(request.parent());
  if (!network.has_value()) return NotAName("parent", request.parent(), kNetworkForm);
  creation.network = *network;
  creation.id = request.policy_id();
  KINSOCK_ASSIGN_OR_RETURN(creation.spec, ToPolicySpec(request.policy()));
  return creation;
}

absl::StatusOr<PolicyUpdate> ToPolicyUpdate(const v1::UpdatePolicyRequest& request) {
  PolicyUpdate update;
  SetRequest(request, update);
  update.etag = request.etag();
  const auto name = ParsePolicyName(request.policy().name());
  if (!name.has_value()) return NotAName("policy.name", request.policy().name(), kPolicyForm);
  std::tie(update.network, update.id) = *name;
  KINSOCK_ASSIGN_OR_RETURN(const FieldMask mask, ToMask(request.update_mask(), {"priority", "allow", "log", "from",
                                                                                "to", "ports", "reset_existing"}));
  update.change = [wanted = request.policy(), mask](const PolicySpec& current) {
    v1::Policy next = SpecToProto(current);
    MergeByMask(wanted, mask, next);
    return ToPolicySpec(next);
  };
  return update;
}

absl::StatusOr<PolicyDeletion> ToPolicyDeletion(const v1::DeletePolicyRequest& request) {
  PolicyDeletion deletion;
  SetRequest(request, deletion);
  const auto name = ParsePolicyName(request.name());
  if (!name.has_value()) return NotAName("name", request.name(), kPolicyForm);
  std::tie(deletion.network, deletion.id) = *name;
  deletion.etag = request.etag();
  deletion.allow_missing = request.allow_missing();
  return deletion;
}

absl::StatusOr<CidReservation> ToCidReservation(const v1::ReserveCidRequest& request) {
  std::vector<FieldViolation> violations;
  CidReservation reservation;
  reservation.request_id = request.request_id();
  reservation.request_hash = RequestHash(request);
  reservation.validate_only = request.validate_only();
  reservation.holder = request.holder();
  const auto network = ParseNetworkName(request.parent());
  if (!network.has_value()) return NotAName("parent", request.parent(), kNetworkForm);
  reservation.network = *network;
  CheckRequestId(reservation.request_id, violations);
  switch (request.cid().request_case()) {
    case v1::CidRequest::kStaticCid:
      reservation.cid = CidRequest::Fixed(request.cid().static_cid());
      break;
    case v1::CidRequest::kRange:
      reservation.cid = CidRequest::Range(request.cid().range().first(), request.cid().range().last());
      break;
    case v1::CidRequest::kReservation:
      violations.push_back({"cid.reservation", "has no meaning here; give static_cid, range or automatic"});
      break;
    case v1::CidRequest::kAutomatic:
    case v1::CidRequest::REQUEST_NOT_SET:
      break;
  }
  CheckCidRequest(reservation.cid, "cid", violations);
  if (reservation.holder.size() > kMaxHolderBytes || !IsUtf8(reservation.holder)) {
    violations.push_back({"holder", absl::StrCat("is not up to ", kMaxHolderBytes, " bytes of UTF-8")});
  }
  reservation.time = kDefaultReservation;
  if (request.has_ttl()) {
    const auto time = ToTime(request.ttl(), kMaxReservation);
    reservation.time = time.value_or(std::chrono::milliseconds(0));
    if (reservation.time < std::chrono::seconds(1)) {
      violations.push_back({"ttl", absl::StrCat("is not from 1 to ", kMaxReservation.count(), " seconds")});
    }
  }
  if (!violations.empty()) return FieldsInvalid("reservation", violations);
  return reservation;
}

absl::StatusOr<CidRelease> ToCidRelease(const v1::ReleaseCidRequest& request) {
  std::vector<FieldViolation> violations;
  const auto name = ParseCidName(request.name());
  if (!name.has_value()) return NotAName("name", request.name(), "networks/{network_id}/cids/{cid}");
  CheckRequestId(request.request_id(), violations);
  if (!violations.empty()) return FieldsInvalid("", violations);
  return CidRelease{.network = name->first,
                    .cid = name->second,
                    .force = request.force(),
                    .request_id = request.request_id(),
                    .request_hash = RequestHash(request),
                    .validate_only = request.validate_only()};
}

}  // namespace kinsock
