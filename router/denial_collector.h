// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_DENIAL_COLLECTOR_H_
#define KINSOCK_ROUTER_DENIAL_COLLECTOR_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "router/flow_info.h"

namespace kinsock {

// Requests for a connection that a reactor has denied.
struct Denials {
  std::vector<FlowInfo> first;
  uint64_t more = 0;  // not in `first`
};

// Brings together what a reactor denies, and tells it once a second: a guest may ask for what it may not have as often
// as it likes, and nobody else should hear of it as often.
//
// Thread: the reactor's. The loop outlives this, and runs no more when this goes.
class DenialCollector {
 public:
  static constexpr std::chrono::seconds kInterval{1};
  // Of which more than the number is told. Beyond: counted.
  static constexpr size_t kMaxTold = 16;

  using Tell = std::function<void(Denials)>;

  DenialCollector(EventLoop& loop, Tell tell) : loop_(loop), tell_(std::move(tell)) {}

  // `info`: a connection that has ended. Whether that is a denial: no right, or no room.
  static bool IsDenial(const FlowInfo& info) {
    return !info.accepted &&
           (info.close_reason == CloseReason::kPolicyDenied || info.close_reason == CloseReason::kQuota);
  }

  void Add(const FlowInfo& denied) {
    if (denials_.first.empty()) {
      loop_.RunAfter(kInterval, [this] { tell_(std::exchange(denials_, {})); });
    }
    if (denials_.first.size() < kMaxTold) return denials_.first.push_back(denied);
    ++denials_.more;
  }

 private:
  EventLoop& loop_;
  const Tell tell_;
  Denials denials_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_DENIAL_COLLECTOR_H_
