// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_POLICY_CHANGE_H_
#define KINSOCK_ROUTER_POLICY_CHANGE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/cid.h"
#include "router/policy_set.h"

namespace kinsock {

// A network's step from one set of policies to another, with all its VMs as each of the two sees them. Made once, on
// the control plane, and shared by all reactors. Immutable then; any thread.
struct PolicyChange {
  struct Vm {
    std::shared_ptr<const PolicySubject> before;
    std::shared_ptr<const PolicySubject> after;
  };

  std::shared_ptr<const PolicySet> before;
  std::shared_ptr<const PolicySet> after;
  absl::flat_hash_map<Cid, Vm> vms;

  // Whether any policy, of those before or after, ends connections that exist.
  bool ResetsExisting() const { return before->resets_existing() || after->resets_existing(); }

  // Whether a connection that was made before is to end now: it is denied, and either was not before, or by a policy
  // that says so. kHostCid is the host. Only asked if ResetsExisting().
  bool Revokes(Cid from, Cid to, uint32_t port) const {
    const Vm* ends[2] = {nullptr, nullptr};
    for (const auto& [end, cid] : {std::pair(&ends[0], from), std::pair(&ends[1], to)}) {
      if (cid == kHostCid) continue;
      const auto vm = vms.find(cid);
      if (vm == vms.end()) return false;  // it came after the change: its connections did, too
      *end = &vm->second;
    }
    const auto seen_after = [](const Vm* vm) { return vm != nullptr ? vm->after.get() : nullptr; };
    const PolicyVerdict now = after->Decide(seen_after(ends[0]), seen_after(ends[1]), port);
    if (now.allowed) return false;
    if (now.policy != nullptr && now.policy->reset_existing) return true;
    const auto seen_before = [](const Vm* vm) { return vm != nullptr ? vm->before.get() : nullptr; };
    return before->Decide(seen_before(ends[0]), seen_before(ends[1]), port).allowed;
  }
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_POLICY_CHANGE_H_
