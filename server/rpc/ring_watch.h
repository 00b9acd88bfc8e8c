// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_RING_WATCH_H_
#define KINSOCK_SERVER_RPC_RING_WATCH_H_

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/kinsock/v1/watch.pb.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/model/resource_version.h"
#include "server/rpc/watch_quota.h"
#include "server/rpc/watch_request.h"
#include "server/rpc/watch_ring.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {

// What a RingWatch follows, and how it is told. All is called on the main thread.
template <typename Response, typename T>
struct RingSource {
  // What there is: up to `max` more messages of it; none: that was all.
  using Present = std::function<std::vector<Response>(size_t max)>;

  WatchRing<T>* ring = nullptr;  // not owned; outlives the gRPC server
  // Nothing: it is not for this watch.
  std::function<std::optional<Response>(const T&)> convert;
  std::function<Response()> synced;
  std::function<Response()> bookmark;
  // Makes the ring worth following and calls back, at once or later, with what there is at its head. Null: it always
  // is, and what it remembers is what there is.
  std::function<void(std::function<void(Present)>)> prepare;
};

// One stream that follows a WatchRing: what there is, or what came after the version that the client names, then
// SYNCED, if it named none, and what happens. As in VmWatch, only the batch under way is in memory for a client:
//
//     main:  Start -> Pump ---- batch of messages ----> StartWrite
//                      ^                                    | OnWriteDone, one by one
//                      '------ the batch is written --------'      OnCancel, OnDone: from gRPC
//
// The object keeps itself until gRPC says OnDone, and main's messages keep it until they ran.
template <typename Response, typename T>
class RingWatch final : public grpc::ServerWriteReactor<Response>,
                        public std::enable_shared_from_this<RingWatch<Response, T>> {
 public:
  using Source = RingSource<Response, T>;
  using Present = typename Source::Present;

  // A client that does not take what there is keeps it in memory, as it was: a snapshot of all connections may have 20
  // MB, which any network carries in this time. Beyond: WATCH_LAGGED.
  static constexpr std::chrono::seconds kPresentPatience{30};

  // Any thread. `main` outlives the gRPC server, and runs until it is shut down. `patience`: how long the client has
  // for what there is.
  static RingWatch* Start(EventLoop& main, Source source, const v1::WatchRequest& request, WatchQuota::Ticket ticket,
                          std::chrono::nanoseconds patience = kPresentPatience) {
    const std::shared_ptr<RingWatch> watch(
        new RingWatch(main, std::move(source), request, std::move(ticket), patience));
    {
      MutexLock lock(watch->mutex_);
      watch->keep_alive_ = watch;
    }
    main.Post([watch] { watch->Begin(); });
    return watch.get();
  }

  ~RingWatch() override = default;

  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the client went away"));
    MutexLock lock(mutex_);
    if (finished_) return;
    if (next_in_batch_ < batch_.size()) return WriteNext();
    batch_.clear();
    main_.Post([self = this->shared_from_this()] {
      self->writing_ = false;
      self->Pump();
    });
  }

  void OnCancel() override { End(absl::CancelledError("the client went away")); }

  void OnDone() override {
    ticket_ = WatchQuota::Ticket();
    std::shared_ptr<RingWatch> self;
    {
      MutexLock lock(mutex_);
      self = std::move(keep_alive_);
    }
    // Main lets go of it last, for what is main's must go there.
    EventLoop& main = main_;
    main.Post([self = std::move(self)] { self->Stop(); });
  }

 private:
  // Messages handed over at a time: enough to spare the main thread a message for each, few enough to be nothing.
  static constexpr size_t kBatch = 64;

  RingWatch(EventLoop& main, Source source, const v1::WatchRequest& request, WatchQuota::Ticket ticket,
            std::chrono::nanoseconds patience)
      : main_(main), source_(std::move(source)), request_(request), patience_(patience), ticket_(std::move(ticket)) {}

  // Main thread.
  void Begin() {
    main_.thread().AssertHeld();
    {
      MutexLock lock(mutex_);
      if (finished_) return;  // cancelled before it began
    }
    absl::StatusOr<std::chrono::nanoseconds> interval = BookmarkInterval(request_);
    if (!interval.ok()) return End(interval.status());
    bookmark_interval_ = *interval;
    if (source_.prepare == nullptr) return BeginWith(nullptr);
    source_.prepare([self = this->shared_from_this()](Present present) { self->BeginWith(std::move(present)); });
  }

  // `present`: null: it is what the ring remembers.
  void BeginWith(Present present) {
    {
      MutexLock lock(mutex_);
      if (finished_) return;
    }
    WatchRing<T>& ring = *source_.ring;
    if (!request_.resource_version().empty()) {
      const absl::StatusOr<uint64_t> after = VersionToResume(request_, ring.epoch(), ring.oldest(), ring.head());
      return after.ok() ? Follow(*after) : End(after.status());
    }
    sync_at_ = ring.head();
    present_ = std::move(present);
    if (present_ != nullptr) present_timer_ = main_.RunAfter(patience_, [this] { OnPresentLate(); });
    Follow(present_ != nullptr ? ring.head() : ring.oldest());
  }

  void Follow(uint64_t after) {
    // The ring forgets the subscription in Stop(), before this object goes.
    auto subscription = source_.ring->Subscribe(after, [this] {
      // Not from within the ring: what it does may append.
      main_.Post([self = this->shared_from_this()] { self->Pump(); });
    });
    if (!subscription.ok()) return End(subscription.status());
    subscription_ = *std::move(subscription);
    ArmBookmark();
    Pump();
  }

  void Pump() {
    if (subscription_ == nullptr) return;
    if (absl::Status status = subscription_->status(); !status.ok()) {
      Stop();
      return End(status);
    }
    if (writing_) return;
    std::vector<Response> batch;
    Collect(batch);
    if (batch.empty()) return;
    writing_ = true;
    MutexLock lock(mutex_);
    if (finished_) return;
    batch_ = std::move(batch);
    next_in_batch_ = 0;
    WriteNext();
  }

  void Collect(std::vector<Response>& batch) {
    if (present_ != nullptr) {
      batch = present_(kBatch);  // without a version: it comes in an order of its own
      if (!batch.empty()) return;
      present_ = nullptr;
    }
    // Until there is something for this watch, or nothing is left: the ring calls only who has taken everything.
    for (bool more = true; more && batch.empty();) {
      const auto items = subscription_->Take(kBatch, sync_at_.value_or(UINT64_MAX));
      more = !items.empty();
      for (const auto& [version, item] : items) {
        if (std::optional<Response> response = source_.convert(item); response.has_value()) {
          batch.push_back(At(version, *std::move(response)));
        }
      }
    }
    const uint64_t cursor = subscription_->cursor();
    if (sync_at_.has_value() && cursor >= *sync_at_) {
      batch.push_back(At(cursor, source_.synced()));
      sync_at_.reset();
    }
    if (std::exchange(bookmark_due_, false) && batch.empty()) batch.push_back(At(cursor, source_.bookmark()));
  }

  Response At(uint64_t version, Response response) const {
    response.set_resource_version(ResourceVersion{source_.ring->epoch(), version}.ToString());
    return response;
  }

  void ArmBookmark() {
    bookmark_timer_ = main_.RunAfter(bookmark_interval_, [this] {
      // The timer goes in Stop(), before this object does.
      bookmark_due_ = true;
      ArmBookmark();
      Pump();  // may stop the watch and take this timer with it
    });
  }

  // The timer goes in Stop(), before this object does.
  void OnPresentLate() {
    present_timer_.reset();
    if (present_ == nullptr) return;
    Stop();
    End(Error(absl::StatusCode::kResourceExhausted, "WATCH_LAGGED",
              absl::StrCat("what there is was not read within ", absl::FormatDuration(absl::FromChrono(patience_)),
                           "; begin again, and read as fast as it comes")));
  }

  void Stop() {
    if (present_timer_.has_value()) main_.Cancel(*present_timer_);
    present_timer_.reset();
    subscription_ = nullptr;
    present_ = nullptr;
    if (bookmark_timer_.has_value()) main_.Cancel(*bookmark_timer_);
    bookmark_timer_.reset();
  }

  // Any thread.
  void End(const absl::Status& status) {
    MutexLock lock(mutex_);
    if (std::exchange(finished_, true)) return;
    this->Finish(ToGrpcStatus(status));
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // gRPC never calls back from within; so the lock may be held, and must be: no write may follow a Finish().
    this->StartWrite(&batch_[next_in_batch_++]);
  }

  EventLoop& main_;
  const Source source_;
  const v1::WatchRequest request_;
  const std::chrono::nanoseconds patience_;
  WatchQuota::Ticket ticket_;  // given back in OnDone(), while there is still a quota

  // Main thread's.
  std::unique_ptr<typename WatchRing<T>::Subscription> subscription_;
  Present present_;  // not yet told all of it; else null
  std::optional<EventLoop::TimerId> present_timer_;
  std::optional<uint64_t> sync_at_;  // SYNCED is due when this version has been told
  bool writing_ = false;             // a batch is out
  bool bookmark_due_ = false;
  std::optional<EventLoop::TimerId> bookmark_timer_;
  std::chrono::nanoseconds bookmark_interval_{};

  Mutex mutex_;
  std::shared_ptr<RingWatch> keep_alive_ ABSL_GUARDED_BY(mutex_);
  std::vector<Response> batch_ ABSL_GUARDED_BY(mutex_);  // one of them is being written
  size_t next_in_batch_ ABSL_GUARDED_BY(mutex_) = 0;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Finish() was called: nothing may be written
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_RING_WATCH_H_
