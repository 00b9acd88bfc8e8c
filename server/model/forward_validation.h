// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_FORWARD_VALIDATION_H_
#define KINSOCK_SERVER_MODEL_FORWARD_VALIDATION_H_

#include <vector>

#include "server/model/forward_spec.h"
#include "server/status/error.h"

namespace kinsock {

// Everything that is wrong with a forward whatever else there is in the daemon and on the machine, by the fields of the
// API: "forward.guest_port". Pure function; any thread.
std::vector<FieldViolation> CheckForward(const ForwardSpec& spec);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_FORWARD_VALIDATION_H_
