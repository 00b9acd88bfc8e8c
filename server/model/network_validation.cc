// SPDX-License-Identifier: Apache-2.0
#include "server/model/network_validation.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/model/quota.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

using Violations = std::vector<FieldViolation>;

void CheckCids(const CidSpan& cids, const std::string& field, Violations& violations) {
  for (const auto& [end, cid] : {std::pair(".first", cids.first), std::pair(".last", cids.last)}) {
    if (IsGuestCid(cid)) continue;
    violations.push_back(
        {field + end, absl::StrCat(cid, " is reserved; choose one from ", kFirstGuestCid, " to ", kLastGuestCid)});
  }
  if (cids.first > cids.last) {
    violations.push_back(
        {field, absl::StrCat("begins at ", cids.first, " and ends before, at ", cids.last, "; exchange the two")});
  }
}

void CheckSelector(const PolicySelector& selector, const std::string& field, Violations& violations) {
  const bool says_more =
      !selector.vm.empty() || !selector.groups.empty() || !selector.labels.empty() || selector.cids.has_value();
  if (selector.host && says_more) {
    violations.push_back({field + ".host", "excludes everything else; make two policies of it"});
  }
  constexpr std::string_view kVms = "vms/";
  const std::string_view vm = selector.vm;
  if (!vm.empty() && !(absl::StartsWith(AbslView(vm), AbslView(kVms)) && IsVmId(vm.substr(kVms.size())))) {
    violations.push_back({field + ".vm", absl::StrCat(Quoted(vm), " is not the name of a VM; give \"vms/{vm_id}\"")});
  }
  if (selector.cids.has_value()) CheckCids(*selector.cids, field + ".cid_range", violations);
  if (selector.groups.size() > kMaxSelectorGroups) {
    violations.push_back({field + ".groups", absl::StrCat("has ", selector.groups.size(), " groups, at most ",
                                                          kMaxSelectorGroups, " are allowed")});
  } else {
    CheckGroups(selector.groups, field + ".groups", violations);
  }
  if (selector.labels.size() > kMaxSelectorLabels) {
    violations.push_back({field + ".labels", absl::StrCat("has ", selector.labels.size(), " labels, at most ",
                                                          kMaxSelectorLabels, " are allowed")});
  } else {
    CheckLabels(selector.labels, field + ".labels", violations);
  }
}

}  // namespace

std::vector<FieldViolation> CheckNetwork(const NetworkSpec& spec) {
  Violations violations;
  CheckCids(spec.cids, "network.cid_range", violations);
  if (spec.reserved.size() > kMaxReservedRanges) {
    violations.push_back({"network.reserved_ranges", absl::StrCat("has ", spec.reserved.size(), " ranges, at most ",
                                                                  kMaxReservedRanges, " are allowed")});
  } else {
    for (size_t i = 0; i < spec.reserved.size(); ++i) {
      CheckCids(spec.reserved[i], absl::StrCat("network.reserved_ranges[", i, "]"), violations);
    }
  }
  if (spec.quarantine.count() < 0 || spec.quarantine > kMaxQuarantine) {
    violations.push_back({"network.quarantine", absl::StrCat("is not from 0 to ", kMaxQuarantine.count(), " seconds")});
  }
  CheckQuota(spec.quota, "network.quota", violations);
  return violations;
}

std::vector<FieldViolation> CheckPolicy(const PolicySpec& spec) {
  Violations violations;
  if (spec.priority < -kMaxPriority || spec.priority > kMaxPriority) {
    violations.push_back(
        {"policy.priority", absl::StrCat(spec.priority, " is not from ", -kMaxPriority, " to ", kMaxPriority)});
  }
  CheckSelector(spec.from, "policy.from", violations);
  CheckSelector(spec.to, "policy.to", violations);
  if (spec.from.host && spec.to.host) {
    violations.push_back(
        {"policy.to.host", "the host does not connect to itself through here; a VM is one of the ends"});
  }
  if (spec.ports.size() > kMaxPortRanges) {
    violations.push_back(
        {"policy.ports", absl::StrCat("has ", spec.ports.size(), " ranges, at most ", kMaxPortRanges, " are allowed")});
  } else {
    for (size_t i = 0; i < spec.ports.size(); ++i) {
      const PortSpan& span = spec.ports[i];
      if (span.first <= span.last) continue;
      violations.push_back(
          {absl::StrCat("policy.ports[", i, "]"),
           absl::StrCat("begins at ", span.first, " and ends before, at ", span.last, "; exchange the two")});
    }
  }
  return violations;
}

void CheckId(std::string_view id, const char* field, Violations& violations) {
  if (IsVmId(id)) return;
  violations.push_back({field, absl::StrCat(Quoted(id), " is not an id; use 1 to ", kMaxIdBytes,
                                            " lower-case letters, digits and hyphens, begin with a letter and do not "
                                            "end with a hyphen")});
}

}  // namespace kinsock
