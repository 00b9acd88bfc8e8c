// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HYBRID_LISTENER_H_
#define KINSOCK_DEVICE_HYBRID_LISTENER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "device/first_words.h"
#include "device/listener.h"

namespace kinsock {

// The hybrid socket of one VM: host programs connect to it and say which port of the guest they want
// (connect_line.h). Bytes that follow the line stay in the socket, for the guest. Thread: that of the loop.
class HybridListener {
 public:
  // Time a program has for its first line. Firecracker's.
  static constexpr std::chrono::milliseconds kLineTimeout{2000};
  // Programs that have not said their line yet. A program that is alive says it at once.
  static constexpr size_t kMaxUndecided = 128;

  // Called with each program that asks for a port.
  using Connect = std::function<void(UniqueFd program, uint32_t port)>;
  // Whether there is a guest to ask. If not, programs are accepted and closed: they try again.
  using IsAttached = std::function<bool()>;

  HybridListener(EventLoop& loop, UniqueFd socket, IsAttached is_attached, Connect connect);

  absl::Status Start() { return listener_.Start(); }

 private:
  FirstWords undecided_;
  Listener listener_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HYBRID_LISTENER_H_
