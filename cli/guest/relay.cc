// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/relay.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

namespace kinsock {
namespace {

// As much as a connection to a guest has under way; more would only be a longer queue.
constexpr size_t kBufferBytes = 64 * 1024;

// False: the socket takes no more. Whether that is an error, the other way tells.
bool SendAll(int socket, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

// 0, or an errno.
int WriteAll(int out, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(out, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {  // somebody shares a non-blocking terminal with us
      pollfd ready{out, POLLOUT, 0};
      poll(&ready, 1, -1);
      continue;
    }
    if (written < 0) return errno;
    data += written;
    size -= static_cast<size_t>(written);
  }
  return 0;
}

void SendToSocket(int in, int socket) {
  std::vector<char> buffer(kBufferBytes);
  for (;;) {
    // Without asking for anything of the socket: it tells when the peer has closed both ways (or we have).
    pollfd fds[2] = {{in, POLLIN, 0}, {socket, 0, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if ((fds[1].revents & (POLLHUP | POLLERR)) != 0) return;
    if (fds[0].revents == 0) continue;
    const ssize_t bytes = read(in, buffer.data(), buffer.size());
    if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (bytes <= 0) break;
    if (!SendAll(socket, buffer.data(), static_cast<size_t>(bytes))) return;
  }
  shutdown(socket, SHUT_WR);
}

int ReceiveFromSocket(int socket, UniqueFd out) {
  std::vector<char> buffer(kBufferBytes);
  for (;;) {
    const ssize_t bytes = recv(socket, buffer.data(), buffer.size(), 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno;
    if (bytes == 0) return 0;
    const int error = WriteAll(out.get(), buffer.data(), static_cast<size_t>(bytes));
    if (error == 0) continue;
    shutdown(socket, SHUT_RDWR);  // nobody reads us: the guest is told, and the other way ends, too
    return error;
  }
}

}  // namespace

int Relay(int in, UniqueFd out, UniqueFd socket) {
  std::thread sender([in, &socket] { SendToSocket(in, socket.get()); });
  const int error = ReceiveFromSocket(socket.get(), std::move(out));
  if (error != 0) shutdown(socket.get(), SHUT_RDWR);
  sender.join();
  return error;
}

}  // namespace kinsock
