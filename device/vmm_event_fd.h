// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VMM_EVENT_FD_H_
#define KINSOCK_DEVICE_VMM_EVENT_FD_H_

#include <atomic>
#include <memory>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// An eventfd of a front-end, through which it or its guest's driver is told something (vhost-user, "Ring states").
//
// The front-end shares the open file description. So it can take O_NONBLOCK away again and fill the counter, and then a
// write waits, on the thread that has others to serve. To look before each write would cost a second system call and
// leave a gap. Instead BreakWait() ends a write that lasts too long (Heartbeat), and nothing is written here any more.
class VmmEventFd {
 public:
  // `fd`: IsEventFd(). `on_held`: see held(); may be null.
  VmmEventFd(UniqueFd fd, std::shared_ptr<Wakeup> on_held);

  // Any thread. A counter that is full says already what there is to say.
  void Signal();

  // The front-end had a write wait: it means harm, and `on_held` has been notified. Any thread.
  bool held() const { return held_.load(std::memory_order_relaxed); }

 private:
  const UniqueFd fd_;
  const std::shared_ptr<Wakeup> on_held_;
  std::atomic<bool> held_{false};
};

// Whether `fd` is an eventfd. What else a front-end may hand over can make us wait in more ways: a pipe, a file of a
// file system that it serves itself.
bool IsEventFd(int fd);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VMM_EVENT_FD_H_
