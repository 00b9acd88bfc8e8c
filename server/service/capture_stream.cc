// SPDX-License-Identifier: Apache-2.0
#include "server/service/capture_stream.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "capture/tap.h"

namespace kinsock {

CaptureStream* CaptureStream::Start(Captures& captures, Audit::Who who, const v1::CaptureRequest& request,
                                    WatchQuota::Ticket ticket) {
  return Launch(
      std::shared_ptr<CaptureStream>(new CaptureStream(captures, std::move(who), request, std::move(ticket))));
}

CaptureStream::CaptureStream(Captures& captures, Audit::Who who, const v1::CaptureRequest& request,
                             WatchQuota::Ticket ticket)
    : HeldStream(captures.env().main, std::move(ticket)),
      captures_(captures),
      who_(std::move(who)),
      request_(request) {}

void CaptureStream::Begin() {
  main_.thread().AssertHeld();
  if (absl::Status fault = Prepare(); !fault.ok()) return EndAtRest(fault);
  AuditEvent("start", 0);
  ReactorPool& pool = captures_.env().pool;
  for (size_t i = 0; i < pool.size(); ++i) {
    // A reactor knows the session; of this object it only carries the message that comes back.
    pool.Post(i, [session = session_, i, self = shared_from_this()]() mutable {
      CaptureTap::Attach(std::move(session), i);
      EventLoop& main = self->main_;
      main.Post([self = std::move(self)] { self->OnAttached(); });
    });
  }
}

absl::Status CaptureStream::Prepare() {
  KINSOCK_ASSIGN_OR_RETURN(order_, ToCaptureOrder(request_));
  KINSOCK_ASSIGN_OR_RETURN(CaptureFilter filter, captures_.Resolve(order_.filter));
  filled_ = Wakeup::Create(main_, [this] { Pump(); });
  auto session =
      std::make_shared<CaptureSession>(std::move(filter), order_.payload_bytes, captures_.env().pool.size(), filled_);
  KINSOCK_ASSIGN_OR_RETURN(const uint64_t number, captures_.Enter(*this));
  session_ = std::move(session);
  name_ = absl::StrCat("captures/", number);
  return absl::OkStatus();
}

void CaptureStream::OnAttached() {
  if (++attached_ < session_->lanes() || stopped_) return;
  MutexLock lock(mutex_);
  if (finished_) return;
  reader_ = std::make_unique<CaptureReader>(session_, order_.NewWriter(), order_.limits);
  reader_->Begin(*chunk_.mutable_data());
  Write();
  statistics_at_ = main_.now() + kStatistics;
  look_ = main_.RunAfter(kLook, [this] { Look(); });  // the timers go in Stop(), before this object does
  if (order_.duration.count() == 0) return;
  deadline_ = main_.RunAfter(order_.duration, [this] {
    Detach([self = shared_from_this()] {
      {
        MutexLock in_here(self->mutex_);
        self->no_more_ = true;
      }
      self->Pump();
    });
  });
}

void CaptureStream::Look() {
  look_ = main_.RunAfter(kLook, [this] { Look(); });
  if (main_.now() >= statistics_at_) {
    statistics_at_ = main_.now() + kStatistics;
    MutexLock lock(mutex_);
    statistics_due_ = true;
  }
  Pump();
}

// Sends a chunk, if there is something to send and nothing under way.
void CaptureStream::Pump() {
  {
    MutexLock lock(mutex_);
    if (finished_ || reader_ == nullptr) return;
    more_ = writing_;
    if (writing_) return;
    chunk_.mutable_data()->clear();  // and keeps its memory
    const bool is_complete = FillChunk();
    if (!chunk_.data().empty()) {
      Write();
    } else if (last_) {
      EndAtRestLocked(absl::OkStatus());
    }
    if (is_complete) return;
  }
  main_.Post([self = shared_from_this()] {
    self->NameThem();
    self->Pump();
  });
}

// False: VMs have to get their names before more can be said.
bool CaptureStream::FillChunk() {
  std::string& data = *chunk_.mutable_data();
  const CaptureReader::Progress progress = reader_->Read(kChunkBytes, data);
  more_ = progress == CaptureReader::Progress::kMore;
  if (progress == CaptureReader::Progress::kNeedsNames) return false;
  const bool ends =
      progress == CaptureReader::Progress::kFull || (progress == CaptureReader::Progress::kDrained && no_more_);
  if (!ends && !statistics_due_) return true;
  if (!reader_->AddStatistics(data)) return false;
  statistics_due_ = false;
  last_ = ends;
  return true;
}

void CaptureStream::Write() {
  chunk_.set_packets(reader_->packets());
  chunk_.set_lost(reader_->session().lost());
  chunk_.set_cut(reader_->session().cut());
  writing_ = true;
  // gRPC never calls back from within; so the lock may be held, and must be: no write may follow a Finish().
  StartWrite(&chunk_);
}

void CaptureStream::NameThem() {
  MutexLock lock(mutex_);
  if (reader_ == nullptr) return;
  for (const uint64_t point : reader_->unnamed()) reader_->Name(point, captures_.Describe(point));
}

void CaptureStream::OnWriteDone(bool ok) {
  if (!ok) return End(absl::CancelledError("the client went away"));
  bool last;
  bool more;
  {
    MutexLock lock(mutex_);
    writing_ = false;
    last = last_;
    more = more_;
  }
  if (last) return EndAtRest(absl::OkStatus());
  if (more) Pump();
}

void CaptureStream::Close(const absl::Status& reason) {
  Stop();
  End(reason);
}

// `done`: no reactor adds anything any more.
void CaptureStream::Detach(EventLoop::Task done) {
  ReactorPool& pool = captures_.env().pool;
  const auto left = std::make_shared<size_t>(pool.size());  // main thread's
  const auto then = std::make_shared<EventLoop::Task>(std::move(done));
  for (size_t i = 0; i < pool.size(); ++i) {
    pool.Post(i, [session = session_, left, then, &main = main_]() mutable {
      CaptureTap::Detach(*session);
      // With its last reference go 16 MiB, which is main's work.
      main.Post([session = std::move(session), left, then] {
        if (--*left == 0) (*then)();
      });
    });
  }
}

void CaptureStream::Stop() {
  if (session_ == nullptr || std::exchange(stopped_, true)) return;
  if (look_.has_value()) main_.Cancel(*look_);
  if (deadline_.has_value()) main_.Cancel(*deadline_);
  filled_->Disarm();
  Detach([] {});
  uint64_t packets = 0;
  {
    MutexLock lock(mutex_);
    if (reader_ != nullptr) packets = reader_->packets();
  }
  AuditEvent("end", packets);
  captures_.Leave(*this, session_->lost());
}

void CaptureStream::AuditEvent(const char* phase, uint64_t packets) {
  std::map<std::string, std::string> fields{
      {"phase", phase}, {"filter", request_.filter()}, {"payload", request_.payload() ? "true" : ""}};
  if (stopped_) {
    fields["packets"] = absl::StrCat(packets);
    fields["lost"] = absl::StrCat(session_->lost());
  }
  captures_.env().audit.Mutation(who_, "ConnectionService.Capture", name_, absl::OkStatus(), fields);
}

}  // namespace kinsock
