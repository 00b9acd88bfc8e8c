// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_ROUTE_TABLE_H_
#define KINSOCK_ROUTER_ROUTE_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/cid.h"
#include "router/port.h"

namespace kinsock {

// Which port stands behind a CID. Each reactor has a table of its own and is told of changes by message
// (docs/adr/0003-routes-by-delta.md). Thread: that reactor.
class RouteTable {
 public:
  void Add(std::shared_ptr<Port> port) {
    const Cid cid = port->cid();
    ports_.insert_or_assign(cid, std::move(port));
    ++version_;
  }

  void Remove(Cid cid) {
    ports_.erase(cid);
    ++version_;
  }

  // Null if nobody has the CID.
  Port* Find(uint64_t cid) const {
    if (!IsGuestCid(cid)) return nullptr;
    const auto it = ports_.find(static_cast<Cid>(cid));
    return it == ports_.end() ? nullptr : it->second.get();
  }

  // Changes whenever an answer of Find() may have changed.
  uint64_t version() const { return version_; }

 private:
  absl::flat_hash_map<Cid, std::shared_ptr<Port>> ports_;
  uint64_t version_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_ROUTE_TABLE_H_
