// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_TABLE_H_
#define KINSOCK_ROUTER_FLOW_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/cid.h"
#include "router/flow.h"

namespace kinsock {

// Names a connection as one of its ends sees it.
struct FlowKey {
  uint32_t local_port = 0;
  Cid peer_cid = 0;
  uint32_t peer_port = 0;

  // The key under which the receiver of `header` knows the connection.
  static FlowKey OfReceiver(const VsockHeader& header) {
    return {header.dst_port, static_cast<Cid>(header.src_cid), header.src_port};
  }
  // The key under which its sender does.
  static FlowKey OfSender(const VsockHeader& header) {
    return {header.src_port, static_cast<Cid>(header.dst_cid), header.dst_port};
  }
  // The key under which `side` of `flow` does.
  static FlowKey Of(const Flow& flow, Flow::Side side) {
    return {flow.end(side).vsock_port, flow.other_end(side).port->cid(), flow.other_end(side).vsock_port};
  }

  friend bool operator==(const FlowKey&, const FlowKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FlowKey& key) {
    return H::combine(std::move(h), key.local_port, key.peer_cid, key.peer_port);
  }
};

// The connections of one port. Each is in the table of both its ends. Guarded by the port's lock.
class FlowTable {
 public:
  using Map = absl::flat_hash_map<FlowKey, std::shared_ptr<Flow>>;

  // Null if there is none.
  const std::shared_ptr<Flow>* Find(const FlowKey& key) {
    if (last_ != nullptr && last_->first == key) return &last_->second;
    const auto it = flows_.find(key);
    if (it == flows_.end()) return nullptr;
    last_ = &*it;
    return &it->second;
  }

  // False if the key is taken.
  bool Insert(const FlowKey& key, std::shared_ptr<Flow> flow) {
    last_ = nullptr;
    return flows_.emplace(key, std::move(flow)).second;
  }

  // Removes `flow`, but not another one that took over its key. True if it was there.
  bool Erase(const FlowKey& key, const Flow& flow) {
    const auto it = flows_.find(key);
    if (it == flows_.end() || it->second.get() != &flow) return false;
    last_ = nullptr;
    flows_.erase(it);
    return true;
  }

  // Empties the table.
  Map TakeAll() {
    last_ = nullptr;
    return std::exchange(flows_, Map());
  }

  const Map& flows() const { return flows_; }
  size_t size() const { return flows_.size(); }

 private:
  Map flows_;
  Map::value_type* last_ = nullptr;  // what Find() found last: packets come in runs
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_TABLE_H_
