// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/flow_snapshots.h"

#include <algorithm>
#include <utility>

namespace kinsock {

void FlowSnapshots::Get(ReactorPool::Flows which, Done done) {
  wanted_ = std::max(wanted_, which);
  waiting_.push_back(std::move(done));
  if (asked_.empty()) Ask();
}

void FlowSnapshots::Ask() {
  asked_ = std::exchange(waiting_, {});
  pool_.ListFlows(std::exchange(wanted_, ReactorPool::Flows::kOpen), [this](std::vector<FlowInfo> flows) {
    std::sort(flows.begin(), flows.end(), [](const FlowInfo& a, const FlowInfo& b) { return a.id < b.id; });
    rates_.Measure(flows);
    const Flows snapshot = std::make_shared<const std::vector<FlowInfo>>(std::move(flows));
    for (Done& done : std::exchange(asked_, {})) done(snapshot);
    if (asked_.empty() && !waiting_.empty()) Ask();
  });
}

}  // namespace kinsock
