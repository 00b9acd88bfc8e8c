// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_LOGGED_FLOW_H_
#define KINSOCK_ROUTER_LOGGED_FLOW_H_

#include <utility>

#include "router/flow.h"
#include "router/flow_journal.h"
#include "router/route_table.h"

namespace kinsock {

// `flow` has just begun: tells `journal`, if the policy that let it through wants that told. On the reactor where it
// began. `routes`: of its network.
inline void TellIfLogged(const Flow& flow, const RouteTable& routes, const FlowJournal& journal) {
  const Flow::End& target = flow.end(Flow::Side::kTarget);
  auto policy = routes.LoggedBy(flow.end(Flow::Side::kInitiator).port->cid(), target.port->cid(), target.vsock_port);
  if (policy == nullptr) return;
  FlowInfo info = flow.Info();
  info.decided_by = std::move(policy);
  journal.Logged(info);
}

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_LOGGED_FLOW_H_
