// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_LISTENER_H_
#define KINSOCK_DEVICE_LISTENER_H_

#include <chrono>
#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// Accepts connections on a listening socket. When the process runs out of descriptors it stops for a
// moment instead of spinning, and goes on by itself. Thread: that of the loop.
class Listener final : public FdHandler {
 public:
  // Connections accepted in one round of the loop.
  static constexpr int kAcceptBatch = 16;
  // Pause after EMFILE and the like.
  static constexpr std::chrono::milliseconds kPause{100};

  // `accepted` gets each connection, non-blocking and close-on-exec.
  Listener(EventLoop& loop, UniqueFd socket, std::function<void(UniqueFd)> accepted);
  ~Listener();

  absl::Status Start();

  // FdHandler.
  void OnReady(uint32_t events) override;

 private:
  void Pause();

  EventLoop& loop_;
  UniqueFd socket_;
  std::function<void(UniqueFd)> accepted_;
  bool watching_ = false;
  bool paused_ = false;
  EventLoop::TimerId timer_{};
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_LISTENER_H_
