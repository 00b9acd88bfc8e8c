// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_HOST_PROGRAM_H_
#define KINSOCK_BENCH_HOST_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace kinsock::bench {

// The sockets of a program on the host that uses the hybrid protocol. Any thread; all end the process when the
// machine refuses.

UniqueFd ConnectTo(const std::string& path);
UniqueFd ListenAt(const std::string& path);

// Asks for the guest's `port` on a new connection to the hybrid socket, and does not wait for the answer.
UniqueFd AskForPort(const std::string& uds_path, uint32_t port);
// Waits for the answer: the port that the stream has at the host's end, or 0 if the guest was not reached.
uint32_t AwaitOk(const UniqueFd& fd);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_HOST_PROGRAM_H_
