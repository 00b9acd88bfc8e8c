// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_SAME_DAEMON_H_
#define KINSOCK_CLI_CALL_SAME_DAEMON_H_

#include <string>

namespace kinsock {

// Commands that are suggested go to the daemon that the command line named. What the environment names it names for
// them, too. Like the arguments of main() this is the process's, for suggestions are made far below who knows these.

// `flags`: " --endpoint unix:/x", for a shell; empty: none were given. Once, before the first suggestion; one thread.
void NameDaemon(std::string flags);

// `line`, which is for a shell, with those flags if it runs a kinsockctl that asks a daemon.
std::string SameDaemon(const std::string& line);

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_SAME_DAEMON_H_
