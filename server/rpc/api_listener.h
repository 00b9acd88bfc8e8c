// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_LISTENER_H_
#define KINSOCK_SERVER_RPC_API_LISTENER_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "server/host/bound_socket.h"
#include "server/rpc/api_connections.h"
#include "server/rpc/caller.h"

namespace kinsock {

// Takes the API's connections in and hands them to gRPC.
//
// gRPC 1.51.1's own listener stops for ever when it once runs out of descriptors (CVE-2023-4785); and it does not tell
// who calls. This one keeps a descriptor in reserve with which it turns callers away, tries again when the flood is
// over, knows who is at the other end of each connection, and counts them before gRPC sees a byte.
//
// Thread: main.
class ApiListener final : public FdHandler {
 public:
  // Who is at the other end of a socket that was accepted here. Not OK: it is closed.
  using Identify = std::function<absl::StatusOr<Caller>(int fd)>;
  using OnConnection = std::function<void(UniqueFd)>;

  // `loop` and `connections` outlive the listener. `on_connection` becomes the owner of the (non-blocking) descriptor
  // and closes it when the connection ends, whatever thread it does that on. `on_refused` likewise of one that is one
  // too many; null: those are closed.
  ApiListener(EventLoop& loop, BoundSocket socket, ApiConnections& connections, Identify identify,
              OnConnection on_connection, OnConnection on_refused = nullptr);
  ~ApiListener();

  // Not OK: the kernel does not tell when somebody connects; the error says what to do.
  absl::Status Start();

  // No more connections, and the socket's file is gone. Those that exist live on.
  void Stop();

  void OnReady(uint32_t events) override;

 private:
  bool AcceptOne();
  void Admit(UniqueFd connection);
  void TurnOneAway();
  void Pause();

  EventLoop& loop_;
  BoundSocket socket_;
  ApiConnections& connections_;
  const Identify identify_;
  const OnConnection on_connection_;
  const OnConnection on_refused_;
  UniqueFd spare_;        // given up for a moment to accept and close a connection when there are no descriptors left
  uint64_t refused_ = 0;  // logged at each power of two: a flood of connections is not to become one of lines
  std::optional<EventLoop::TimerId> resume_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_LISTENER_H_
