// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_CONNECTIONS_H_
#define KINSOCK_SERVER_RPC_API_CONNECTIONS_H_

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/caller.h"

namespace kinsock {

// The connections of the API that are open, on all of its sockets, and who is at the other end of each.
//
// gRPC owns them and tells nobody when it closes one: a descriptor's number and the inode of its socket together say
// whether it is still open. gRPC names the peer of a call "fd:<number>". That number names the right connection for as
// long as the call lasts, because gRPC keeps the descriptor until the last call on it is over, and a number can be used
// again only then (docs/adr/0013-who-calls.md; api_connections_test holds gRPC to it).
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

  // Who makes the call that gRPC says comes from `peer`; only while the call is not finished. Nothing: not a UNIX
  // socket.
  std::optional<Caller> Find(std::string_view peer) const;

  // How many are open.
  size_t size();

 private:
  struct Connection {
    ino_t inode;
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
