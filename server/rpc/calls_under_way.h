// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_CALLS_UNDER_WAY_H_
#define KINSOCK_SERVER_RPC_CALLS_UNDER_WAY_H_

#include <grpcpp/support/server_interceptor.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "server/rpc/peer_socket.h"

namespace kinsock {

// The calls of kinsock.v1 that the daemon's stop waits for: those that had begun when it began. A call is under way
// from its headers until its status is in the socket. Health and reflection do not count: their clients end them, not
// we do.
//
// Any thread. Outlives the gRPC server, and its interceptors.
class CallsUnderWay {
 public:
  CallsUnderWay() = default;
  CallsUnderWay(const CallsUnderWay&) = delete;
  CallsUnderWay& operator=(const CallsUnderWay&) = delete;

  // For the server's builder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewInterceptors();

  // Those that begin from here on do not count. The first time counts.
  void Close();

  // Blocks until there are none, at most until `deadline`. False: there are some.
  bool AwaitNone(std::chrono::steady_clock::time_point deadline);

  // Whether every connection is closed that had a call when Close() was called. Never, when one of them is not known by
  // its descriptor, as over TLS.
  bool ConnectionsAreClosed() const;

  // One of them, while it exists. `peer`: as gRPC calls it.
  class Call {
   public:
    Call(CallsUnderWay& calls, std::string_view peer);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    CallsUnderWay& calls_;
  };

 private:
  mutable std::mutex mutex_;  // not Mutex, which condition variables do not know; held for a moment
  std::condition_variable none_;
  // Guarded by mutex_.
  std::map<const Call*, std::optional<PeerSocket>> calls_;
  std::optional<std::vector<std::optional<PeerSocket>>> at_close_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_CALLS_UNDER_WAY_H_
