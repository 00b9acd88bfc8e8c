// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_TUNNEL_END_H_
#define KINSOCK_SERVER_SERVICE_TUNNEL_END_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/event_loop.h"
#include "device/dial.h"

namespace kinsock {

// What a reactor tells of a tunnel's connection, carried to the tunnels' thread.
//
// Thread: the reactor of the VM, but for ended().
class TunnelEnd final : public Dial {
 public:
  // Run on the thread of the loop, in order.
  using Opened = std::function<void(uint32_t host_port, uint64_t connection)>;
  using Ended = std::function<void(CloseReason reason, const std::shared_ptr<const Policy>& denied_by)>;

  // `loop` outlives the reactors.
  TunnelEnd(EventLoop& loop, uint32_t guest_port, const Flow::HostPeer& caller, Opened opened, Ended ended)
      : Dial(guest_port, caller), loop_(loop), opened_(std::move(opened)), on_ended_(std::move(ended)) {}
  // The device was gone before it had taken it.
  ~TunnelEnd() override { Tell(CloseReason::kPeerGone, nullptr); }

  void OnOpened(uint32_t host_port, uint64_t connection) override {
    loop_.Post([opened = std::move(opened_), host_port, connection] { opened(host_port, connection); });
  }
  void OnEnded(CloseReason reason, std::shared_ptr<const Policy> denied_by) override {
    Tell(reason, std::move(denied_by));
  }

  // Any thread: the connection is over. Set before its socket is closed, so that who reads end of file and finds it not
  // set knows that the guest has only shut down its half.
  bool ended() const { return ended_.load(); }

 private:
  void Tell(CloseReason reason, std::shared_ptr<const Policy> denied_by) {
    if (ended_.exchange(true)) return;
    loop_.Post([ended = std::move(on_ended_), reason, by = std::move(denied_by)] { ended(reason, by); });
  }

  EventLoop& loop_;
  Opened opened_;
  Ended on_ended_;
  std::atomic<bool> ended_{false};
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_TUNNEL_END_H_
