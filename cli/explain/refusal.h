// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_REFUSAL_H_
#define KINSOCK_CLI_EXPLAIN_REFUSAL_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "api/kinsock/v1/connection.pb.h"
#include "api/kinsock/v1/vm.pb.h"
#include "cli/call/client.h"

namespace kinsock {

// Why a connection was refused or ended, in the words of one who wanted to have it: "nobody listens there".
std::string ReasonText(v1::Connection::CloseReason reason);

// What kinsockctl ends with when a connection that it asked for was refused so.
ExitCode ExitCodeOf(v1::Connection::CloseReason reason);

// The command to try next when a connection of `from` (the name of a VM, or "host") to `port` of `vm` was refused so.
std::string NextAfter(v1::Connection::CloseReason reason, const std::string& from, const std::string& vm,
                      uint32_t port);

// Why nothing can reach the guest of `vm` in the state that it is in, and the command to try next; nothing when it is
// up.
struct Obstacle {
  std::string reason;  // one word for programs
  std::string cause;
  std::string next;
};
std::optional<Obstacle> ObstacleOf(const v1::Vm& vm);

// The connection of `vm` that ended last of those that `wanted` is true for, as far as the daemon remembers (a minute).
// A daemon that does not answer remembers nothing.
std::optional<v1::Connection> LastClosed(Client& client, const std::string& vm,
                                         const std::function<bool(const v1::Connection&)>& wanted);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_REFUSAL_H_
