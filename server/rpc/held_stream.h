// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_HELD_STREAM_H_
#define KINSOCK_SERVER_RPC_HELD_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/rpc/watch_quota.h"
#include "server/status/status_conversion.h"

namespace kinsock {

// What calls have in common whose answers are a stream: main, which knows what happens, and gRPC's threads, which know
// when the client can take more, share one object.
//
//     gRPC:  Launch ---.                          OnWriteDone ...   OnCancel -> End
//     main:            '-> Begin -> StartWrite ...                      OnDone --.
//     main:                                                                      '-> Stop, and it is gone
//
// The object keeps itself until gRPC says OnDone, and main's messages keep it until they ran. `Self`: the class that is
// derived.
template <typename Self, typename Response>
class HeldStream : public grpc::ServerWriteReactor<Response>, public std::enable_shared_from_this<Self> {
 public:
  void OnCancel() final { End(absl::CancelledError("the client went away")); }

  void OnDone() final {
    ticket_ = WatchQuota::Ticket();
    std::shared_ptr<Self> self;
    {
      MutexLock lock(mutex_);
      self = std::move(keep_alive_);
    }
    // Main lets go of it last, for what is main's must go there.
    EventLoop& main = main_;
    main.Post([self = std::move(self)] { static_cast<HeldStream&>(*self).Stop(); });
  }

 protected:
  // `main` outlives the gRPC server, and runs until it is shut down.
  HeldStream(EventLoop& main, WatchQuota::Ticket ticket) : main_(main), ticket_(std::move(ticket)) {}

  // Any thread. Has main Begin() it, unless it is cancelled before.
  static Self* Launch(const std::shared_ptr<Self>& stream) {
    HeldStream& held = *stream;
    {
      MutexLock lock(held.mutex_);
      held.keep_alive_ = stream;
    }
    held.main_.Post([stream] { static_cast<HeldStream&>(*stream).BeginUnlessOver(); });
    return stream.get();
  }

  // Any thread. The client gets `status`; the first one counts.
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    EndLocked(status);
  }
  // The same while nothing is being written: what is left is as small as a refusal, so that its place is free before
  // the client hears of it and calls again.
  void EndAtRest(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    EndAtRestLocked(status);
  }
  void EndAtRestLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!finished_) ticket_ = WatchQuota::Ticket();  // OnDone() comes after Finish()
    EndLocked(status);
  }
  // False: it was not the first.
  bool EndLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) return false;
    this->Finish(ToGrpcStatus(status));
    return true;
  }

  EventLoop& main_;
  // gRPC never calls back from within StartWrite() and Finish(): so it may be held there, and must be, for no write may
  // follow a Finish().
  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // nothing may be written

 private:
  // Main thread, once; not if it was cancelled before.
  virtual void Begin() = 0;
  // Main thread: gives back what is main's; at the end, whether or not that was done before.
  virtual void Stop() = 0;

  void BeginUnlessOver() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      MutexLock lock(mutex_);
      if (finished_) return;
    }
    Begin();
  }

  WatchQuota::Ticket ticket_;  // given back in OnDone() at last, while there is still a quota
  std::shared_ptr<Self> keep_alive_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_HELD_STREAM_H_
