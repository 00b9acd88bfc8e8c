// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_COLLECTOR_H_
#define KINSOCK_ROUTER_FLOW_COLLECTOR_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "router/flow_info.h"

namespace kinsock {

// Connections of one kind that somebody is to hear of.
struct CollectedFlows {
  std::vector<FlowInfo> first;
  uint64_t more = 0;  // not in `first`
};

// Brings together what happens on a reactor, and tells it once a second: a guest may connect, or ask for what it may not
// have, as often as it likes, and nobody else should hear of it as often.
//
// Thread: the reactor's. The loop outlives this, and runs no more when this goes.
class FlowCollector {
 public:
  static constexpr std::chrono::seconds kInterval{1};
  // Of which more than the number is told. Beyond: counted.
  static constexpr size_t kMaxTold = 16;

  using Tell = std::function<void(CollectedFlows)>;

  // `tell`: null: nobody listens.
  FlowCollector(EventLoop& loop, Tell tell) : loop_(loop), tell_(std::move(tell)) {}

  void Add(const FlowInfo& flow) {
    if (tell_ == nullptr) return;
    if (flows_.first.empty()) {
      loop_.RunAfter(kInterval, [this] { tell_(std::exchange(flows_, {})); });
    }
    if (flows_.first.size() < kMaxTold) return flows_.first.push_back(flow);
    ++flows_.more;
  }

 private:
  EventLoop& loop_;
  const Tell tell_;
  CollectedFlows flows_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_COLLECTOR_H_
