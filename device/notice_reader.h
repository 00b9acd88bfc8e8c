// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_NOTICE_READER_H_
#define KINSOCK_DEVICE_NOTICE_READER_H_

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "device/device_stats.h"

namespace kinsock {

// The daemon's own end of connections in which a guest says lines of text: a program of the host, so to speak, that
// lives in the reactor. A line ends with "\n", with the message (SEQPACKET), or with what the guest sends. Nothing is
// ever answered; when the guest has sent all, the connection is closed, which sd_notify(3) waits for.
// Thread: the device's reactor.
class NoticeReader {
 public:
  // Of a guest at a time: a notification takes one for a moment. One more, and the oldest gives way.
  static constexpr size_t kMaxConnections = 16;
  // Of a line: what systemd itself takes as a whole notification. With a longer one the connection ends.
  static constexpr size_t kMaxLineBytes = 4096;

  // `on_line`: a line; `on_pause`: those that had come are told, so it is time to look. What is a reference is not
  // owned and outlives this.
  NoticeReader(EventLoop& loop, DeviceStats& stats, std::function<void(absl::string_view)> on_line,
               std::function<void()> on_pause);
  ~NoticeReader();
  NoticeReader(const NoticeReader&) = delete;
  NoticeReader& operator=(const NoticeReader&) = delete;

  // The guest's end of a new connection, of type SOCK_STREAM or SOCK_SEQPACKET; invalid when the process has no
  // descriptors left.
  UniqueFd Connect(int socket_type);

  // Ends all; what has not been read of them is not read any more.
  void Clear();

  size_t connections() const { return open_.size(); }

 private:
  class Connection;

  void End(Connection& connection);

  EventLoop& loop_;
  DeviceStats& stats_;
  const std::function<void(absl::string_view)> on_line_;
  const std::function<void()> on_pause_;
  std::list<std::unique_ptr<Connection>> open_;  // oldest first
  std::list<std::unique_ptr<Connection>> dead_;  // until the event that ended them has been handled
  std::shared_ptr<Wakeup> reap_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_NOTICE_READER_H_
