// SPDX-License-Identifier: Apache-2.0
#include "server/reactors/flow_snapshots.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace kinsock {

FlowSnapshots::FlowSnapshots(EventLoop& main, ReactorPool& pool)
    : pool_(pool), rates_(Clock::Monotonic()), shared_(main, [this](absl::AnyInvocable<void(Flows)> answer) {
        pool_.ListFlows(std::exchange(wanted_, ReactorPool::Flows::kOpen), [this, answer = std::move(answer)](
                                                                               std::vector<FlowInfo> flows) mutable {
          std::sort(flows.begin(), flows.end(), [](const FlowInfo& a, const FlowInfo& b) { return a.id < b.id; });
          rates_.Measure(flows);
          answer(std::make_shared<const std::vector<FlowInfo>>(std::move(flows)));
        });
      }) {}

void FlowSnapshots::Get(ReactorPool::Flows which, Done done) {
  wanted_ = std::max(wanted_, which);
  shared_.Get(std::move(done));
}

}  // namespace kinsock
