// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_API_LISTENER_H_
#define KINSOCK_SERVER_API_LISTENER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "server/api_limits.h"
#include "server/bound_socket.h"

namespace kinsock {

// Takes the API's connections in and hands them to gRPC.
//
// gRPC 1.51.1's own listener stops for ever when it once runs out of descriptors (CVE-2023-4785); and it does not tell
// who calls. This one keeps a descriptor in reserve with which it turns callers away, tries again when the flood is
// over, knows the user of each connection (SO_PEERCRED), and counts them before gRPC sees a byte.
//
// Thread: main.
class ApiListener final : public FdHandler {
 public:
  struct Limits {
    size_t per_uid = kMaxApiConnectionsPerUid;
    size_t total = kMaxApiConnections;
  };
  using OnConnection = std::function<void(UniqueFd)>;

  // `loop` outlives the listener. `on_connection` becomes the owner of the (non-blocking) descriptor and closes it
  // when the connection ends, whatever thread it does that on.
  ApiListener(EventLoop& loop, BoundSocket socket, OnConnection on_connection, Limits limits);
  ~ApiListener();

  absl::Status Start();

  // No more connections, and the socket's file is gone. Those that exist live on.
  void Stop();

  // Connections that are open now.
  size_t connections();

  void OnReady(uint32_t events) override;

 private:
  // A connection that gRPC owns. The number of its descriptor and the inode of its socket together tell whether it is
  // still open: gRPC tells nobody when it closes one.
  struct Connection {
    int fd;
    ino_t inode;
    uid_t uid;
  };

  bool AcceptOne();
  void Admit(UniqueFd connection);
  bool HasRoom(uid_t uid);
  void TurnOneAway();
  void Pause();
  void ForgetClosed();

  EventLoop& loop_;
  BoundSocket socket_;
  const OnConnection on_connection_;
  const Limits limits_;
  UniqueFd spare_;  // given up for a moment to accept and close a connection when there are no descriptors left
  std::vector<Connection> connections_;  // may hold some that closed since the last ForgetClosed()
  MonotonicTime swept_;
  uint64_t refused_ = 0;  // logged at each power of two: a flood of connections is not to become one of lines
  std::optional<EventLoop::TimerId> resume_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_API_LISTENER_H_
