// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_
#define KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_

#include <memory>
#include <vector>

#include "base/event_loop.h"
#include "router/flow_info.h"
#include "server/reactors/flow_rates.h"
#include "server/reactors/reactor_pool.h"
#include "server/reactors/shared_answer.h"

namespace kinsock {

// Snapshots of all connections, those that ended lately included if somebody asks for them.
//
// Thread: main. The pool must be gone, or have no callback under way, when this goes.
class FlowSnapshots {
 public:
  using Flows = std::shared_ptr<const std::vector<FlowInfo>>;  // by id, ascending
  using Done = SharedAnswer<Flows>::Done;

  // Both outlive this.
  FlowSnapshots(EventLoop& main, ReactorPool& pool);

  // `which`: what is wanted at least; those of others who ask at the same time may be in it, too.
  void Get(ReactorPool::Flows which, Done done);

  // How the rates in the last snapshot were measured.
  const FlowRates& rates() const { return rates_; }

 private:
  ReactorPool& pool_;
  FlowRates rates_;
  ReactorPool::Flows wanted_ = ReactorPool::Flows::kOpen;  // by those who wait
  SharedAnswer<Flows> shared_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_FLOW_SNAPSHOTS_H_
