// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_ROUTE_TABLE_H_
#define KINSOCK_ROUTER_ROUTE_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/cid.h"
#include "router/policy_change.h"
#include "router/policy_set.h"
#include "router/port.h"

namespace kinsock {

// One network as a reactor knows it: which port stands behind a CID, and what the policies say of the VM there. A CID
// means nothing outside of its network: a VM's packets are looked up in its own network's table only. Each reactor has
// tables of its own and is told of changes by message (docs/adr/0003-routes-by-delta.md). Thread: that reactor.
class RouteTable {
 public:
  // `subject`: not null, of the network's present PolicySet, as all others.
  void Add(std::shared_ptr<Port> port, std::shared_ptr<const PolicySubject> subject) {
    const Cid cid = port->cid();
    routes_.insert_or_assign(cid, Route{std::move(port), std::move(subject)});
    last_ = nullptr;
    ++version_;
  }

  void Remove(Cid cid) {
    routes_.erase(cid);
    last_ = nullptr;
    ++version_;
  }

  // From now on the policies see the VM like this; connections that exist are not looked at again.
  void SetSubject(Cid cid, std::shared_ptr<const PolicySubject> subject) {
    const auto it = routes_.find(cid);
    if (it != routes_.end()) it->second.subject = std::move(subject);
  }

  // From now on the network goes by other policies. `change` has every VM of the table.
  void SetPolicies(const PolicyChange& change) {
    for (const auto& [cid, vm] : change.vms) SetSubject(cid, vm.after);
  }

  // Whether the one VM may connect to that port of the other; kHostCid is the host, and one of the two is a VM. Counts
  // the answer: asked once for each new connection.
  bool MayConnect(Cid from, Cid to, uint32_t port) const {
    const Answer answer = Decide(from, to, port);
    if (answer.set != nullptr) answer.set->Count(answer.verdict);
    return answer.verdict.allowed;
  }

  // The policy for which MayConnect() says no; null: it was the default. For who tells of it; not counted.
  std::shared_ptr<const Policy> DeniedBy(Cid from, Cid to, uint32_t port) const {
    const Answer answer = Decide(from, to, port);
    return answer.set != nullptr && !answer.verdict.allowed ? answer.set->Share(answer.verdict) : nullptr;
  }

  // The policy that lets the connection through and says `log`; null: none does. Not counted.
  std::shared_ptr<const Policy> LoggedBy(Cid from, Cid to, uint32_t port) const {
    const auto vm = routes_.find(from != kHostCid ? from : to);
    if (vm == routes_.end() || !vm->second.subject->set->logs()) return nullptr;
    const Answer answer = Decide(from, to, port);
    const bool told = answer.verdict.allowed && answer.verdict.policy != nullptr && answer.verdict.policy->log;
    return told ? answer.set->Share(answer.verdict) : nullptr;
  }

  // Null if nobody has the CID.
  Port* Find(uint64_t cid) const {
    if (last_ != nullptr && cid == last_cid_) return last_;
    if (!IsGuestCid(cid)) return nullptr;
    const auto it = routes_.find(static_cast<Cid>(cid));
    if (it == routes_.end()) return nullptr;
    last_cid_ = cid;
    last_ = it->second.port.get();
    return last_;
  }

  // Changes whenever an answer of Find() may have changed.
  uint64_t version() const { return version_; }

 private:
  struct Route {
    std::shared_ptr<Port> port;
    std::shared_ptr<const PolicySubject> subject;
  };
  struct Answer {
    const PolicySet* set = nullptr;  // null: nobody is there who could be asked about
    PolicyVerdict verdict;
  };

  Answer Decide(Cid from, Cid to, uint32_t port) const {
    const PolicySubject* ends[2] = {nullptr, nullptr};
    for (const auto& [end, cid] : {std::pair(&ends[0], from), std::pair(&ends[1], to)}) {
      if (cid == kHostCid) continue;
      const auto route = routes_.find(cid);
      if (route == routes_.end()) return {};
      *end = route->second.subject.get();
    }
    const PolicySubject* any = ends[0] != nullptr ? ends[0] : ends[1];
    if (any == nullptr) return {};
    return {.set = any->set.get(), .verdict = any->set->Decide(ends[0], ends[1], port)};
  }

  absl::flat_hash_map<Cid, Route> routes_;
  uint64_t version_ = 0;
  // The last answer: packets come in runs.
  mutable uint64_t last_cid_ = 0;
  mutable Port* last_ = nullptr;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_ROUTE_TABLE_H_
