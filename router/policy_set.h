// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_POLICY_SET_H_
#define KINSOCK_ROUTER_POLICY_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/counter.h"
#include "router/bit_set.h"
#include "router/policy.h"
#include "router/range_index.h"
#include "router/selector_index.h"

namespace kinsock {

class PolicySet;

// How often a network's default decided.
struct DefaultHits {
  SharedCounter allowed;
  SharedCounter denied;
};

// A VM as the policies of a PolicySet see it: which of them are about it, as the end that connects and as the end that
// is connected to. Immutable; any thread.
struct PolicySubject {
  std::shared_ptr<const PolicySet> set;    // not null
  std::shared_ptr<const GroupSet> groups;  // not null
  BitSet from;
  BitSet to;
};

// What the policies of a network say about one connection.
struct PolicyVerdict {
  bool allowed = false;
  const Policy* policy = nullptr;  // that decides; null: the default. Lives as long as the set.
};

// All policies of a network, made ready for quick answers: which VM is whose business is found out once for each VM
// (Identify), on the control plane. What is left to do for a connection is to find the first number that three sets of
// bits have in common, 64 policies at a time: those about the one end, about the other, and about the port. A packet of
// a connection that exists asks nothing.
//
// Immutable: a change makes a new set. Any thread.
class PolicySet : public std::enable_shared_from_this<PolicySet> {
 public:
  // `policies`: any order, names unique, none null. `hits`: not null.
  PolicySet(std::vector<std::shared_ptr<const Policy>> policies, DefaultPolicy otherwise,
            std::shared_ptr<DefaultHits> hits = std::make_shared<DefaultHits>());
  PolicySet(const PolicySet&) = delete;
  PolicySet& operator=(const PolicySet&) = delete;

  std::shared_ptr<const PolicySubject> Identify(const VmIdentity& identity) const;

  // Whether `from` may connect to `port` of `to`. Null stands for the host. The subjects are of this set; those of
  // another one are denied everything.
  PolicyVerdict Decide(const PolicySubject* from, const PolicySubject* to, uint32_t port) const;

  // The policy of a verdict of this set, for longer than the set lives; null: the default.
  std::shared_ptr<const Policy> Share(const PolicyVerdict& verdict) const;

  // Counts that a connection was made, or denied, because of `verdict`.
  void Count(const PolicyVerdict& verdict) const;

  // In the order in which they are asked.
  const std::vector<std::shared_ptr<const Policy>>& policies() const { return policies_; }
  // Whether one of them ends connections that exist.
  bool resets_existing() const { return resets_existing_; }
  // Whether one of them is to be told of when it lets a connection through.
  bool logs() const { return logs_; }
  DefaultPolicy otherwise() const { return otherwise_; }
  const DefaultHits& default_hits() const { return *hits_; }

 private:
  bool AllowedByDefault(const PolicySubject* from, const PolicySubject* to) const;

  const std::vector<std::shared_ptr<const Policy>> policies_;
  const bool resets_existing_;
  const bool logs_;
  const DefaultPolicy otherwise_;
  const std::shared_ptr<DefaultHits> hits_;
  const SelectorIndex from_;
  const SelectorIndex to_;
  const RangeIndex ports_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_POLICY_SET_H_
