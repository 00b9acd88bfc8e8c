// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_CONNECTIONS_H_
#define KINSOCK_SERVER_RPC_API_CONNECTIONS_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/caller.h"
#include "server/rpc/peer_socket.h"

namespace kinsock {

// The connections of the API that are open, on all of its sockets, and who is at the other end of each.
//
// gRPC owns them; PeerSocket says how they are recognised.
//
// Any thread.
class ApiConnections {
 public:
  struct Limits {
    size_t per_uid = kMaxApiConnectionsPerUid;
    size_t without_role = kMaxApiConnectionsWithoutRole;
    size_t tls = kMaxTlsConnections;
    size_t total = kMaxApiConnections;
  };

  ApiConnections(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  // Counts the socket `fd` in before it is given to gRPC. False: the caller, those without a role, those that come
  // over TCP, or all together have as many as they may.
  bool Add(int fd, const Caller& caller);

  // Counts it out, before it is closed; one that is not is counted out when there is no room.
  void Remove(int fd);

  // Who makes the call that gRPC says comes from `peer`; only while the call is not finished. Nothing: not a UNIX
  // socket.
  std::optional<Caller> Find(std::string_view peer) const;

  // How many are open.
  size_t size();

 private:
  struct Connection {
    PeerSocket socket;
    Caller caller;
  };

  bool HasRoom(const Caller& caller) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const Limits limits_;
  mutable Mutex mutex_;
  std::map<int, Connection> open_ ABSL_GUARDED_BY(mutex_);  // may hold some that closed since the last ForgetClosed()
  MonotonicTime swept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_CONNECTIONS_H_
