// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_PLACES_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_PLACES_H_

#include <vector>

#include "server/config/config.h"
#include "server/host/activated_sockets.h"

namespace kinsock {

// What a configuration names and this machine does not have: directories that are missing, or open to everybody, and
// things that are no sockets in the place of some. One problem each. A start with such a configuration would fail.
//
// Not looked at: what depends on who looks (permissions), and on what else runs at this moment (sockets that somebody
// serves, for example the daemon that is to read this configuration anew). Nothing is made, and nobody connected to.
//
// `given`: sockets that systemd has made and watches over; theirs are not looked at. Blocks as long as the file system
// does. Any thread.
std::vector<ConfigProblem> FindMissingPlaces(const Config& config, const std::vector<ActivatedSocket>& given = {});

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_PLACES_H_
