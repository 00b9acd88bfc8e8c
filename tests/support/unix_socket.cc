// SPDX-License-Identifier: Apache-2.0
#include "tests/support/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <optional>

#include "base/unix_address.h"
#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

// Ten seconds of milliseconds.
constexpr int kConnectTries = 10'000;

sockaddr_un AddressOf(const std::string& path) {
  const std::optional<sockaddr_un> address = UnixAddress(path);
  Require(address.has_value(), "the path of a socket is too long");
  return *address;
}

}  // namespace

UniqueFd NewUnixSocket(int type) {
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  Require(socket.valid(), "no socket");
  return socket;
}

bool TryConnect(const UniqueFd& socket, const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  return connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

UniqueFd ListenAt(const std::string& path, int backlog, int type) {
  UniqueFd socket = NewUnixSocket(type);
  const sockaddr_un address = AddressOf(path);
  Require(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "bind failed");
  Require(listen(socket.get(), backlog) == 0, "listen failed");
  return socket;
}

UniqueFd ConnectTo(const std::string& path) {
  UniqueFd socket = NewUnixSocket();
  for (int tries = 0; !TryConnect(socket, path); ++tries) {
    // EAGAIN: the backlog is full (unix(7)).
    Require(errno == EAGAIN && tries < kConnectTries, "nobody listens");
    poll(nullptr, 0, 1);
  }
  return socket;
}

}  // namespace kinsock::testing
