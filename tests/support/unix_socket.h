// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_UNIX_SOCKET_H_
#define KINSOCK_TESTS_SUPPORT_UNIX_SOCKET_H_

#include <sys/socket.h>

#include <string>

#include "base/unique_fd.h"

namespace kinsock::testing {

// A non-blocking AF_UNIX socket that listens at `path`. `type`: SOCK_STREAM or SOCK_SEQPACKET.
UniqueFd ListenAt(const std::string& path, int backlog = 128, int type = SOCK_STREAM);

// A non-blocking one connected to `path`; ends the test if nobody listens there. Waits while the backlog is full.
UniqueFd ConnectTo(const std::string& path);

// An unconnected one.
UniqueFd NewUnixSocket(int type = SOCK_STREAM);

// Whether the connection was made.
bool TryConnect(const UniqueFd& socket, const std::string& path);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_UNIX_SOCKET_H_
