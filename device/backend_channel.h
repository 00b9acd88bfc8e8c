// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_BACKEND_CHANNEL_H_
#define KINSOCK_DEVICE_BACKEND_CHANNEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace kinsock {

// What the back-end has to say unasked: the socket that the front-end gave for it with SET_BACKEND_REQ_FD ("Vhost-user
// Protocol", back-end message types). There is one message, CONFIG_CHANGE_MSG: the configuration is another.
//
// Whatever the front-end gave need not be a socket, nor be read. Nothing here waits: what cannot be said is not said.
//
// Thread: the loop's.
class BackendChannel final : public FdHandler {
 public:
  // `socket`: non-blocking. `answered` runs when the message was acknowledged, or will never be.
  BackendChannel(EventLoop& loop, UniqueFd socket, std::function<void()> answered);
  ~BackendChannel();

  // False: it could not be said. `acknowledged`: REPLY_ACK was agreed upon, and `answered` will be called.
  bool SayConfigChange(bool acknowledged);

  // FdHandler.
  void OnReady(uint32_t events) override;

 private:
  // Acknowledgements that may be outstanding; a front-end that is behind by more is asleep. Beyond: nothing is said.
  static constexpr int kMaxAwaited = 16;
  // A header and a number.
  static constexpr size_t kReplyBytes = 20;

  void Close();

  EventLoop& loop_;
  UniqueFd socket_;
  const std::function<void()> answered_;
  bool watching_ = false;
  int awaited_ = 0;
  std::array<std::byte, kReplyBytes> reply_;
  size_t have_ = 0;  // bytes of it
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_BACKEND_CHANNEL_H_
