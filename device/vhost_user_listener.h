// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VHOST_USER_LISTENER_H_
#define KINSOCK_DEVICE_VHOST_USER_LISTENER_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "device/first_words.h"
#include "device/listener.h"

namespace kinsock {

// The vhost-user socket of one VM. Whoever connects is a candidate; the first to send a message is the
// front-end. So a probe that only connects does not use up the device. Thread: that of the loop.
class VhostUserListener {
 public:
  // Silent connections that are kept; the oldest gives way. More than a careless monitor leaves behind before
  // the VMM, which speaks at once, has been heard.
  static constexpr size_t kMaxCandidates = 64;

  // `front_end` gets the connection, nothing read from it; it may close it, if there is a session already.
  VhostUserListener(EventLoop& loop, UniqueFd socket, std::function<void(UniqueFd)> front_end);

  absl::Status Start() { return listener_.Start(); }

 private:
  FirstWords candidates_;
  Listener listener_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VHOST_USER_LISTENER_H_
