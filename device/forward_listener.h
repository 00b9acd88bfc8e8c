// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FORWARD_LISTENER_H_
#define KINSOCK_DEVICE_FORWARD_LISTENER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "device/listener.h"

namespace kinsock {

// One AF_VSOCK port of the host that stands for the same port of one guest. There is no handshake: whoever connects
// is connected. Thread: that of the loop.
class ForwardListener {
 public:
  using Connect = std::function<void(UniqueFd program, uint32_t port)>;
  // Whether there is a guest to ask. If not, programs are accepted and closed: they try again.
  using IsAttached = std::function<bool()>;

  // `socket`: listening AF_VSOCK stream socket on `port`, non-blocking.
  ForwardListener(EventLoop& loop, UniqueFd socket, uint32_t port, IsAttached is_attached, Connect connect);

  absl::Status Start() { return listener_.Start(); }

 private:
  Listener listener_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FORWARD_LISTENER_H_
