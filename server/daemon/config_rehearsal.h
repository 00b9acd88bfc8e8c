// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_
#define KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_

#include <string>

#include "absl/status/status.h"
#include "server/config/config.h"

namespace kinsock {

// What came of it.
struct Rehearsal {
  // INVALID_ARGUMENT: a line for each thing that is wrong, as Daemon::Start() says it, which ends with the first kind
  // of objects (names, VMs of forwards, networks and policies, VMs) of which one is.
  absl::Status result;
  // Why the state cannot be looked at, which the start may be able to; empty: it was, or there is none.
  std::string unseen;
};

// What a start of the daemon would refuse of a configuration that is good as far as can be told object by object
// (ParseCommandLine()) and has its places on the machine (FindMissingPlaces()): what depends on other objects, those of
// the API in the state included. Networks and policies are made as the start makes them, and VMs get their CIDs, in
// memory; no socket is made, and the state is only read.
//
// If it cannot be read, whatever names a network or a VM of which the configuration says nothing is left to the start.
//
// Thread: main. Starts a reactor and ends it; blocks on the disk.
Rehearsal RehearseConfig(const Config& config);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_CONFIG_REHEARSAL_H_
