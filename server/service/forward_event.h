// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_FORWARD_EVENT_H_
#define KINSOCK_SERVER_SERVICE_FORWARD_EVENT_H_

#include "api/kinsock/v1/event.pb.h"
#include "server/manager/forward_manager.h"

namespace kinsock {

// What the event log says of a forward that was made, has changed or is gone. Pure function; any thread.
v1::Event ForwardEvent(ForwardManager::Change change, const ForwardDefinition& forward);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_FORWARD_EVENT_H_
