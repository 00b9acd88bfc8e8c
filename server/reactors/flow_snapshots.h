// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_
#define KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "router/flow_info.h"
#include "server/reactors/flow_rates.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {

// Snapshots of all connections, those that ended lately included if somebody asks for them, at most one under way:
// however many clients ask at once, the reactors are asked once for all that asked before. Who asks while one is under
// way gets the next, so that nobody sees a state older than his question.
//
// Thread: main. The pool must be gone, or have no callback under way, when this goes.
class FlowSnapshots {
 public:
  using Flows = std::shared_ptr<const std::vector<FlowInfo>>;  // by id, ascending
  using Done = absl::AnyInvocable<void(const Flows&)>;

  explicit FlowSnapshots(ReactorPool& pool) : pool_(pool), rates_(Clock::Monotonic()) {}

  // `which`: what is wanted at least; those of others who ask at the same time may be in it, too.
  void Get(ReactorPool::Flows which, Done done);

  // How the rates in the last snapshot were measured.
  const FlowRates& rates() const { return rates_; }

 private:
  void Ask();

  ReactorPool& pool_;
  FlowRates rates_;
  std::vector<Done> asked_;                                // the snapshot under way is for these
  std::vector<Done> waiting_;                              // came later
  ReactorPool::Flows wanted_ = ReactorPool::Flows::kOpen;  // by these
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_
