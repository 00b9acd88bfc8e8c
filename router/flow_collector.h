// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_COLLECTOR_H_
#define KINSOCK_ROUTER_FLOW_COLLECTOR_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/event_loop.h"
#include "router/flow_info.h"

namespace kinsock {

// Connections of one kind that somebody is to hear of.
struct CollectedFlows {
  // Those that one VM, or the host of one, has asked for.
  struct OfOne {
    std::vector<FlowInfo> first;
    uint64_t more = 0;  // not in `first`
  };
  absl::flat_hash_map<uint64_t, OfOne> by_initiator;  // its device
};

// Brings together what happens on a reactor, and tells it once a second: a guest may connect, or ask for what it may
// not have, as often as it likes, and nobody else should hear of it as often. One that does so takes no room from
// others.
//
// Thread: the reactor's. The loop outlives this, and runs no more when this goes.
class FlowCollector {
 public:
  static constexpr std::chrono::seconds kInterval{1};
  // Of one VM, those of which more than the number is told. Beyond: counted.
  static constexpr size_t kMaxTold = 8;
  // The same of all, some 300 bytes each. Beyond: only the first of each VM, and the others are counted.
  static constexpr size_t kMaxToldOfAll = 256;

  using Tell = std::function<void(CollectedFlows)>;

  // `tell`: null: nobody listens.
  FlowCollector(EventLoop& loop, Tell tell) : loop_(loop), tell_(std::move(tell)) {}

  void Add(const FlowInfo& flow) {
    if (tell_ == nullptr) return;
    if (flows_.by_initiator.empty()) {
      loop_.RunAfter(kInterval, [this] {
        told_ = 0;
        tell_(std::exchange(flows_, {}));
      });
    }
    CollectedFlows::OfOne& of_one = flows_.by_initiator[flow.initiator.device];
    if (of_one.first.size() == kMaxTold || (told_ >= kMaxToldOfAll && !of_one.first.empty())) {
      ++of_one.more;
      return;
    }
    ++told_;
    of_one.first.push_back(flow);
  }

 private:
  EventLoop& loop_;
  const Tell tell_;
  CollectedFlows flows_;
  size_t told_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_COLLECTOR_H_
