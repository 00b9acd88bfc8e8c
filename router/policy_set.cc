// SPDX-License-Identifier: Apache-2.0
#include "router/policy_set.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace kinsock {
namespace {

using Policies = std::vector<std::shared_ptr<const Policy>>;

bool IsAskedBefore(const Policy& a, const Policy& b) {
  return std::tie(a.priority, a.name) < std::tie(b.priority, b.name);
}

Policies InOrder(Policies policies) {
  std::sort(policies.begin(), policies.end(), [](const auto& a, const auto& b) { return IsAskedBefore(*a, *b); });
  return policies;
}

std::vector<const PolicySelector*> Selectors(const Policies& policies, PolicySelector Policy::*end) {
  std::vector<const PolicySelector*> selectors;
  selectors.reserve(policies.size());
  for (const auto& policy : policies) selectors.push_back(&((*policy).*end));
  return selectors;
}

RangeIndex IndexPorts(const Policies& policies) {
  std::vector<RangeIndex::Range> ranges;
  BitSet any_port(policies.size());
  for (uint32_t i = 0; i < policies.size(); ++i) {
    if (policies[i]->ports.empty()) any_port.Set(i);
    for (const PortSpan& span : policies[i]->ports) ranges.push_back({span.first, span.last, i});
  }
  return RangeIndex(ranges, any_port);
}

}  // namespace

PolicySet::PolicySet(Policies policies, DefaultPolicy otherwise, std::shared_ptr<DefaultHits> hits)
    : policies_(InOrder(std::move(policies))),
      resets_existing_(
          std::any_of(policies_.begin(), policies_.end(), [](const auto& policy) { return policy->reset_existing; })),
      logs_(std::any_of(policies_.begin(), policies_.end(), [](const auto& policy) { return policy->log; })),
      otherwise_(otherwise),
      hits_(std::move(hits)),
      from_(Selectors(policies_, &Policy::from)),
      to_(Selectors(policies_, &Policy::to)),
      ports_(IndexPorts(policies_)) {}

std::shared_ptr<const PolicySubject> PolicySet::Identify(const VmIdentity& identity) const {
  return std::make_shared<const PolicySubject>(PolicySubject{
      .set = shared_from_this(), .groups = identity.groups, .from = from_.Match(identity), .to = to_.Match(identity)});
}

PolicyVerdict PolicySet::Decide(const PolicySubject* from, const PolicySubject* to, uint32_t port) const {
  const auto foreign = [this](const PolicySubject* end) { return end != nullptr && end->set.get() != this; };
  if (foreign(from) || foreign(to)) return {};
  const std::vector<uint64_t>& about_from = (from != nullptr ? from->from : from_.host()).words();
  const std::vector<uint64_t>& about_to = (to != nullptr ? to->to : to_.host()).words();
  const std::vector<uint64_t>& about_port = ports_.Candidates(port).words();
  for (size_t word = 0; word < about_port.size(); ++word) {
    for (uint64_t bits = about_from[word] & about_to[word] & about_port[word]; bits != 0; bits &= bits - 1) {
      const Policy& policy = *policies_[word * 64 + static_cast<size_t>(std::countr_zero(bits))];
      if (policy.CoversPort(port)) return {.allowed = policy.allow, .policy = &policy};
    }
  }
  return {.allowed = AllowedByDefault(from, to)};
}

bool PolicySet::AllowedByDefault(const PolicySubject* from, const PolicySubject* to) const {
  switch (otherwise_) {
    case DefaultPolicy::kSharedGroup:
      return from == nullptr || to == nullptr || from->groups->SharesOneWith(*to->groups);
    case DefaultPolicy::kAllow:
      return true;
    case DefaultPolicy::kDeny:
      break;
  }
  return false;
}

std::shared_ptr<const Policy> PolicySet::Share(const PolicyVerdict& verdict) const {
  if (verdict.policy == nullptr) return nullptr;
  return *std::lower_bound(policies_.begin(), policies_.end(), verdict.policy,
                           [](const auto& each, const Policy* wanted) { return IsAskedBefore(*each, *wanted); });
}

void PolicySet::Count(const PolicyVerdict& verdict) const {
  if (verdict.policy != nullptr) return verdict.policy->hits->Add();
  (verdict.allowed ? hits_->allowed : hits_->denied).Add();
}

}  // namespace kinsock
