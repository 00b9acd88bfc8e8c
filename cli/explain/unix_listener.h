// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_UNIX_LISTENER_H_
#define KINSOCK_CLI_EXPLAIN_UNIX_LISTENER_H_

#include <cstdint>
#include <string>

namespace kinsock {

// Who is behind a socket file, found out without a connection: who listens would take one for a caller.

enum class UnixListener : uint8_t {
  kListens,
  kNone,     // nobody: the socket was left behind, or whoever has it does not listen
  kUnknown,  // somebody has it, whom this process does not see: in another network namespace, as of a container
};

// By whatever name the socket was bound: a relative one, or one by way of a symbolic link. `path` exists.
UnixListener FindListener(const std::string& path);

// Whether the socket file was left behind by a program that is no more.
bool IsLeftBehind(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_UNIX_LISTENER_H_
