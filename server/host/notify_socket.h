// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_NOTIFY_SOCKET_H_
#define KINSOCK_SERVER_HOST_NOTIFY_SOCKET_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <string_view>

#include "base/unique_fd.h"

namespace kinsock {

// The way to who has started the daemon and wants to hear how it is (sd_notify(3), NOTIFY_SOCKET). libsystemd's
// sd_notify() waits while the queue there is full, and one who does not read would stop the daemon's main thread: so
// the datagrams are sent here.
//
// Thread: one.
class NotifySocket {
 public:
  // That of the environment. A kind of address that is none of AF_UNIX is as none.
  NotifySocket();

  // Whether anybody wants to hear anything.
  bool wanted() const { return socket_.valid(); }
  // Sends assignments, a line each. False: there is no room now; try again later. Whom it cannot reach at all hears
  // nothing, and that is true. Does not block.
  bool Send(std::string_view assignments) const;

 private:
  UniqueFd socket_;
  sockaddr_un address_{};
  socklen_t length_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_NOTIFY_SOCKET_H_
