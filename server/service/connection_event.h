// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CONNECTION_EVENT_H_
#define KINSOCK_SERVER_SERVICE_CONNECTION_EVENT_H_

#include <string>

#include "api/kinsock/v1/event.pb.h"
#include "router/flow_info.h"
#include "server/convert/connection_conversion.h"

namespace kinsock {

// What the event log says of a connection that was not allowed, and of one that a policy let through which says `log`.
// `instance`: of the names of connections. Pure functions; any thread.
v1::Event DenialEvent(const FlowInfo& denied, const FlowVms& vms, const std::string& instance);
v1::Event AllowedEvent(const FlowInfo& allowed, const FlowVms& vms, const std::string& instance);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CONNECTION_EVENT_H_
