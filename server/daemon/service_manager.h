// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_SERVICE_MANAGER_H_
#define KINSOCK_SERVER_DAEMON_SERVICE_MANAGER_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "server/host/notify_socket.h"
#include "server/reactors/heartbeat.h"

namespace kinsock {

// Keeps systemd informed, if it has started the daemon (sd_notify(3)): that everything is served, what it does
// (`systemctl status` shows it), and, when the unit has a WatchdogSec, that all threads which matter go round. A daemon
// of which one is stuck says nothing any more, and systemd starts it anew.
//
// One who wants to hear that and does not read holds nobody up: what happened waits for him, in order, and how things
// are is told when he reads again.
//
// Thread: main.
class ServiceManager {
 public:
  // Between two looks at `status` and the threads, unless the watchdog wants it more often.
  static constexpr std::chrono::seconds kInterval{1};

  // What happened and is not told yet: more than two reloads, each of which begins and ends. Beyond: the oldest is not
  // told, for the newest says how things are.
  static constexpr size_t kMaxWaiting = 8;

  // `status`: a line on how things are. All outlive this object.
  ServiceManager(EventLoop& main, const Heartbeat& heartbeat, std::function<std::string()> status);
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // Everything is served; from here on the status is told when it changes, and the watchdog is fed.
  void Ready();
  // The configuration is being read again, and what it says done; everything is served meanwhile.
  void Reloading();
  void Reloaded();
  // The daemon ends; the watchdog is fed no more.
  void Stopping();

 private:
  void Say(std::string happened);
  bool TellWaiting();
  bool Send(const std::string& message);
  void Tell();

  EventLoop& main_;
  const Heartbeat& heartbeat_;
  const std::function<std::string()> status_;
  std::chrono::microseconds watchdog_{0};  // must be fed in each of these; 0: there is none
  const NotifySocket socket_;
  std::deque<std::string> waiting_;  // the oldest first
  bool blocked_ = false;             // the last message had no room
  std::string told_;                 // the last status that was
  bool stopping_ = false;
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_SERVICE_MANAGER_H_
