// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_RING_KICK_H_
#define KINSOCK_DEVICE_RING_KICK_H_

#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"

namespace kinsock {

// Watches the eventfd through which a driver says that it has added to a ring. Edge-triggered and never read:
// each write is reported once, which saves a system call per kick. Thread: that of the loop.
class RingKick final : public FdHandler {
 public:
  // `fd` is not owned and stays open until this is gone.
  RingKick(EventLoop& loop, int fd, std::function<void()> kicked);
  ~RingKick();

  absl::Status Start();
  // No reports between the two; what would have been reported is, once, afterwards.
  void Pause();
  void Resume();

  // FdHandler.
  void OnReady(uint32_t events) override;

 private:
  EventLoop& loop_;
  const int fd_;
  const std::function<void()> kicked_;
  bool watching_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_RING_KICK_H_
