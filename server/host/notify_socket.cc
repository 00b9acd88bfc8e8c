// SPDX-License-Identifier: Apache-2.0
#include "server/host/notify_socket.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "server/host/log.h"

namespace kinsock {

NotifySocket::NotifySocket() {
  const char* place = getenv("NOTIFY_SOCKET");
  if (place == nullptr || *place == '\0') return;
  const size_t size = std::strlen(place);
  if ((place[0] != '/' && place[0] != '@') || size >= sizeof(address_.sun_path)) {
    Log(LogLevel::kWarning, "notify.unreachable").With("socket", place).With("reason", "no path, no abstract name");
    return;
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, place, size);
  if (place[0] == '@') address_.sun_path[0] = '\0';
  // An abstract name has no end but its length (unix(7)).
  length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + (place[0] == '@' ? 0 : 1));
  socket_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool NotifySocket::Send(std::string_view assignments) const {
  if (!socket_.valid()) return true;
  ssize_t sent;
  do {
    sent = sendto(socket_.get(), assignments.data(), assignments.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address_), length_);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM);
}

}  // namespace kinsock
