// SPDX-License-Identifier: Apache-2.0
#include "server/service/stats_stream.h"

#include <utility>

#include "base/status_macros.h"
#include "server/convert/proto_time.h"
#include "server/status/error.h"

namespace kinsock {

void StatsStream::Set::Close(const absl::Status& reason) {
  closed_ = reason;
  for (StatsStream* stream : std::exchange(streams_, {})) {
    stream->Stop();
    stream->End(reason);
  }
}

StatsStream* StatsStream::Start(EventLoop& main, StatsReader& reader, Set& set, const v1::StreamStatsRequest& request,
                                WatchQuota::Ticket ticket) {
  return Launch(std::shared_ptr<StatsStream>(new StatsStream(main, reader, set, request, std::move(ticket))));
}

StatsStream::StatsStream(EventLoop& main, StatsReader& reader, Set& set, const v1::StreamStatsRequest& request,
                         WatchQuota::Ticket ticket)
    : HeldStream(main, std::move(ticket)), reader_(reader), set_(set), request_(request) {}

void StatsStream::Begin() {
  main_.thread().AssertHeld();
  if (absl::Status fault = Check(); !fault.ok()) return EndAtRest(fault);
  set_.streams_.insert(this);
  Tick();
}

absl::Status StatsStream::Check() {
  KINSOCK_RETURN_IF_ERROR(set_.closed_);
  KINSOCK_ASSIGN_OR_RETURN(question_, ToStatsQuestion(request_));
  interval_ = kDefaultInterval;
  if (request_.has_interval()) {
    const std::optional<std::chrono::nanoseconds> wanted = ToNanoseconds(request_.interval());
    if (!wanted.has_value() || *wanted < kMinInterval || *wanted > kMaxInterval) {
      return FieldsInvalid("", {{"interval", "is not from 100 ms to 1 h"}});
    }
    interval_ = *wanted;
  }
  if (set_.streams_.size() < kMaxStreams) return absl::OkStatus();
  return QuotaExceeded("streams of statistics", kMaxStreams, "end some of them, or share one stream");
}

void StatsStream::Arm() {
  // The timer goes in Stop(), before this object does.
  timer_ = main_.RunAfter(interval_, [this] { Tick(); });
}

void StatsStream::Tick() {
  Arm();
  if (std::exchange(busy_, true)) return;
  reader_.Read(question_,
               [self = shared_from_this()](absl::StatusOr<StatsReading> reading) { self->Take(std::move(reading)); });
}

void StatsStream::Take(absl::StatusOr<StatsReading> reading) {
  if (set_.streams_.count(this) == 0) return;  // it is over
  if (!reading.ok()) {
    Stop();
    return End(reading.status());
  }
  // The first one says what the numbers have been until now.
  v1::StatsReport report = reader_.Report(*reading, last_.has_value() ? &*last_ : nullptr, question_);
  last_ = *std::move(reading);
  Send(std::move(report));
}

void StatsStream::Stop() {
  if (timer_.has_value()) main_.Cancel(*timer_);
  timer_.reset();
  last_.reset();
  set_.streams_.erase(this);
}

void StatsStream::Send(v1::StatsReport report) {
  MutexLock lock(mutex_);
  if (finished_) return;
  report_ = std::move(report);
  // gRPC never calls back from within; so the lock may be held, and must be: no write may follow a Finish().
  StartWrite(&report_);
}

void StatsStream::OnWriteDone(bool ok) {
  if (!ok) return End(absl::CancelledError("the client went away"));
  main_.Post([self = shared_from_this()] { self->busy_ = false; });
}

}  // namespace kinsock
