// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CALLS_UNDER_WAY_H_
#define KINSOCK_SERVER_CALLS_UNDER_WAY_H_

#include <grpcpp/support/server_interceptor.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace kinsock {

// How many calls of kinsock.v1 are under way: from their headers until their status has been written out. Those of health
// and reflection do not count: their clients end them, not we.
//
// Any thread. Outlives the gRPC server, and its interceptors.
class CallsUnderWay {
 public:
  CallsUnderWay() = default;
  CallsUnderWay(const CallsUnderWay&) = delete;
  CallsUnderWay& operator=(const CallsUnderWay&) = delete;

  // For the server's builder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewInterceptors();

  // Blocks until there are none, at most for `patience`. False: there are some.
  bool AwaitNone(std::chrono::milliseconds patience);

  // One of them, while it exists.
  class Call {
   public:
    explicit Call(CallsUnderWay& calls);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    CallsUnderWay& calls_;
  };

 private:
  std::mutex mutex_;  // not Mutex, which condition variables do not know; held for an addition
  std::condition_variable none_;
  size_t count_ = 0;  // guarded by mutex_
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CALLS_UNDER_WAY_H_
