// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_CONFIG_MESSAGES_H_
#define KINSOCK_CLI_MANIFEST_CONFIG_MESSAGES_H_

#include "api/kinsock/v1/forward.pb.h"
#include "api/kinsock/v1/network.pb.h"
#include "api/kinsock/v1/vm.pb.h"
#include "server/model/forward_spec.h"
#include "server/model/network.h"
#include "server/model/vm_spec.h"

namespace kinsock {

// What a configuration file says, as the messages that ask the daemon for the same: with names, and without what only
// the daemon says. Pure functions.
v1::Network ToMessage(const NetworkCreation& network);
v1::Policy ToMessage(const PolicyCreation& policy);
v1::Vm ToMessage(const VmCreation& vm);
v1::Forward ToMessage(const ForwardCreation& forward);

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_CONFIG_MESSAGES_H_
