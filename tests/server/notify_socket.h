// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_NOTIFY_SOCKET_H_
#define KINSOCK_TESTS_SERVER_NOTIFY_SOCKET_H_

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// What systemd is to the services that it has started: programs that the test starts while this lives tell it how they
// are (sd_notify(3)). One at a time.
class NotifySocket {
 public:
  // `watchdog`: WatchdogSec of their unit.
  explicit NotifySocket(std::chrono::microseconds watchdog) : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = dir_ / "notify";
    address_.sun_family = AF_UNIX;
    std::strncpy(address_.sun_path, path.c_str(), sizeof(address_.sun_path) - 1);
    Require(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof(address_)) == 0, "no notify socket");
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    setenv("WATCHDOG_USEC", std::to_string(watchdog.count()).c_str(), 1);
  }
  ~NotifySocket() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message that `is_it`; empty when none comes in a minute.
  std::string Await(const std::function<bool(const std::string&)>& is_it) {
    for (;;) {
      std::string message = Next(std::chrono::minutes(1));
      if (message.empty() || is_it(message)) return message;
    }
  }
  // The next one that has `text` in it.
  std::string Await(const std::string& text) {
    return Await([&](const std::string& message) { return message.find(text) != std::string::npos; });
  }

  // All that has come, and comes in `time`.
  std::string Collect(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::string all;
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      const std::string message = Next(std::max(left, std::chrono::milliseconds(0)));
      if (message.empty()) return all;
      all += message + "\n";
    }
  }
  // Takes no more, because it has not read what has come.
  void Fill() const {
    // One socket may have less room for what it sends than this one has for what it gets.
    for (bool sent = true; sent;) {
      const UniqueFd sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sent = false;
      while (sendto(sender.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address_),
                    sizeof(address_)) == 1) {
        sent = true;
      }
    }
  }
  // Forgets what has come.
  void Discard() {
    while (!Next(std::chrono::milliseconds(0)).empty()) {
    }
  }

 private:
  // Empty: none comes in `patience`.
  std::string Next(std::chrono::milliseconds patience) {
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    char message[4096];
    if (poll(&readable, 1, static_cast<int>(patience.count())) != 1) return "";
    const ssize_t size = recv(socket_.get(), message, sizeof(message), 0);
    return size > 0 ? std::string(message, static_cast<size_t>(size)) : "";
  }

  TempDir dir_;
  sockaddr_un address_{};
  const UniqueFd socket_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_NOTIFY_SOCKET_H_
