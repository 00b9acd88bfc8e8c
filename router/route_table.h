// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_ROUTE_TABLE_H_
#define KINSOCK_ROUTER_ROUTE_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/cid.h"
#include "router/policy.h"
#include "router/port.h"

namespace kinsock {

// Which port stands behind a CID, and which groups the VM there is in. Each reactor has a table of its own and is told
// of changes by message (docs/adr/0003-routes-by-delta.md). Thread: that reactor.
class RouteTable {
 public:
  // `groups`: not null.
  void Add(std::shared_ptr<Port> port, std::shared_ptr<const GroupSet> groups) {
    const Cid cid = port->cid();
    routes_.insert_or_assign(cid, Route{std::move(port), std::move(groups)});
    last_ = nullptr;
    ++version_;
  }

  void Remove(Cid cid) {
    routes_.erase(cid);
    last_ = nullptr;
    ++version_;
  }

  // From now on the VM is in these groups; connections that exist are not looked at again.
  void SetGroups(Cid cid, std::shared_ptr<const GroupSet> groups) {
    const auto it = routes_.find(cid);
    if (it != routes_.end()) it->second.groups = std::move(groups);
  }

  // Whether the VMs behind the two CIDs share a group. Asked for each new connection.
  bool ShareGroup(Cid one, Cid other) const {
    const auto a = routes_.find(one), b = routes_.find(other);
    return a != routes_.end() && b != routes_.end() && a->second.groups->SharesOneWith(*b->second.groups);
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
    std::shared_ptr<const GroupSet> groups;
  };

  absl::flat_hash_map<Cid, Route> routes_;
  uint64_t version_ = 0;
  // The last answer: packets come in runs.
  mutable uint64_t last_cid_ = 0;
  mutable Port* last_ = nullptr;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_ROUTE_TABLE_H_
