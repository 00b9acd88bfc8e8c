// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_GUEST_TEXT_H_
#define KINSOCK_CLI_GUEST_GUEST_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kinsock {

// Text to paste elsewhere, for programs that are to reach a guest.

// A line for a shell: what is typed goes to the guest's `port`. The answer begins with the daemon's OK line.
std::string SocatConnectLine(const std::string& uds_path, uint32_t port);
// The same for a program on the host that guests call.
std::string SocatListenLine(const std::string& uds_path, uint32_t port);

// What ssh_config(5) needs for `vms`, by their names and as NAME.kinsock, under which their host keys are known;
// without any, for every NAME.kinsock. `command`: the kinsockctl to run, and what tells it which daemon to ask.
std::string SshConfig(const std::vector<std::string>& vms, const std::vector<std::string>& command);

// The same as options of ssh.
std::vector<std::string> SshOptions(const std::vector<std::string>& command);

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_GUEST_TEXT_H_
