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
    last_ = nullptr;
    ++version_;
  }

  void Remove(Cid cid) {
    ports_.erase(cid);
    last_ = nullptr;
    ++version_;
  }

  // Null if nobody has the CID.
  Port* Find(uint64_t cid) const {
    if (last_ != nullptr && cid == last_cid_) return last_;
    if (!IsGuestCid(cid)) return nullptr;
    const auto it = ports_.find(static_cast<Cid>(cid));
    if (it == ports_.end()) return nullptr;
    last_cid_ = cid;
    last_ = it->second.get();
    return last_;
  }

  // Changes whenever an answer of Find() may have changed.
  uint64_t version() const { return version_; }

 private:
  absl::flat_hash_map<Cid, std::shared_ptr<Port>> ports_;
  uint64_t version_ = 0;
  // The last answer: packets come in runs.
  mutable uint64_t last_cid_ = 0;
  mutable Port* last_ = nullptr;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_ROUTE_TABLE_H_
