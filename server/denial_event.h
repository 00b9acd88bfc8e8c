// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DENIAL_EVENT_H_
#define KINSOCK_SERVER_DENIAL_EVENT_H_

#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "router/flow_info.h"
#include "server/connection_conversion.h"

namespace kinsock {

// What the event log says of `denied`, a connection that was not allowed. `instance`: of the names of connections. Pure
// function; any thread.
v1::Event DenialEvent(const FlowInfo& denied, const FlowVms& vms, const std::string& instance);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DENIAL_EVENT_H_
