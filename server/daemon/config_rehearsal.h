// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_
#define KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_

#include "absl/status/status.h"
#include "server/config/config.h"

namespace kinsock {

// What a start of the daemon would refuse of a configuration that is good as far as can be told object by object
// (ParseCommandLine()) and has its places on the machine (FindMissingPlaces()): what depends on other objects. Networks
// and policies are made as the start makes them, and VMs get their CIDs, in memory; no socket is made.
//
// With a state directory, networks of which the configuration says nothing may be among those that the API has made:
// whatever names one of them is left to the start, which reads the state.
//
// INVALID_ARGUMENT: a line for each thing that is wrong, as Daemon::Start() says it, which ends with the first kind of
// objects (networks and policies, VMs, forwards) of which one is.
//
// Thread: main. Starts a reactor and ends it.
absl::Status RehearseConfig(const Config& config);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_
