// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/health_service.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/rpc/access.h"
#include "server/rpc/api_limits.h"
#include "server/status/status_conversion.h"

namespace kinsock {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Check. It has its place until the client has the answer, or is gone.
class HealthService::Answer final : public grpc::ServerUnaryReactor {
 public:
  Answer(absl::StatusOr<WatchQuota::Ticket> ticket, const absl::Status& status) : ticket_(std::move(ticket)) {
    Finish(ToGrpcStatus(status));
  }
  void OnDone() override { delete this; }

 private:
  const absl::StatusOr<WatchQuota::Ticket> ticket_;
};

// One Watch:
//
//     Enter --> writing --- Written, and nothing is new --> idle
//                ^   \---- Written, and something is -.      |
//                '------------------------------------+------' Tell
//
//     End, because the client is gone: nothing is written any more. Leave: gRPC is through with it.
class HealthService::Stream final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Stream(HealthService& health, std::string name, WatchQuota::Ticket ticket)
      : health_(health), name_(std::move(name)), ticket_(std::move(ticket)) {}

  void OnWriteDone(bool ok) override { health_.Written(*this, ok); }
  void OnCancel() override { health_.Cancel(*this); }
  void OnDone() override {
    health_.Leave(*this);
    delete this;
  }

 private:
  friend class HealthService;

  HealthService& health_;
  const std::string name_;
  const WatchQuota::Ticket ticket_;

  // Under the service's lock.
  Serving wanted_ = HealthCheckResponse::UNKNOWN;
  HealthCheckResponse response_;  // told last, or being told
  bool writing_ = false;
  bool finished_ = false;  // nothing may be written
};

HealthService::HealthService(AdmitHealth admit) : admit_(std::move(admit)) {}

HealthService::~HealthService() = default;

void HealthService::Set(const std::string& service, bool serving) {
  MutexLock lock(mutex_);
  if (closed_) return;
  Change(services_[service], serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
}

void HealthService::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  for (auto& [name, service] : services_) {
    if (service.status == HealthCheckResponse::SERVING) Change(service, HealthCheckResponse::NOT_SERVING);
  }
}

void HealthService::Change(Service& service, Serving status) {
  if (std::exchange(service.status, status) == status) return;
  for (Stream* stream : service.streams) Tell(*stream, status);
}

absl::StatusOr<WatchQuota::Ticket> HealthService::Admit(const grpc::CallbackServerContext& context,
                                                        std::string_view method,
                                                        const HealthCheckRequest& request) const {
  if (const size_t bytes = request.ByteSizeLong(); bytes > kMaxHealthQuestionBytes) {
    return absl::InvalidArgumentError(absl::StrCat("service: a request of ", bytes, " bytes names none; at most ",
                                                   kMaxHealthQuestionBytes, " fit, and \"\" is the daemon"));
  }
  return admit_ != nullptr ? admit_(context, method) : WatchQuota::Ticket();
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  absl::StatusOr<WatchQuota::Ticket> ticket = Admit(*context, "Health.Check", *request);
  absl::Status status = ticket.status();
  if (status.ok()) {
    MutexLock lock(mutex_);
    const auto found = services_.find(request->service());
    if (found != services_.end() && found->second.status != HealthCheckResponse::SERVICE_UNKNOWN) {
      response->set_status(found->second.status);
    } else {
      status = absl::NotFoundError(
          absl::StrCat("no service is called ", Quoted(request->service()), "; ask for \"\", which is the daemon"));
    }
  }
  return new Answer(std::move(ticket), status);
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext* context,
                                                                    const HealthCheckRequest* request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = Admit(*context, "Health.Watch", *request);
  if (!ticket.ok()) return new RefusedStream<HealthCheckResponse>(ToGrpcStatus(ticket.status()));
  auto* const stream = new Stream(*this, request->service(), *std::move(ticket));
  Enter(*stream);
  return stream;
}

void HealthService::Enter(Stream& stream) {
  MutexLock lock(mutex_);
  Service& service = services_[stream.name_];
  service.streams.insert(&stream);
  Tell(stream, service.status);
}

void HealthService::Tell(Stream& stream, Serving status) {
  stream.wanted_ = status;
  if (stream.writing_ || stream.finished_) return;
  stream.writing_ = true;
  stream.response_.set_status(status);
  // gRPC never calls back from within; so the lock may be held, and must be: no write may follow a Finish().
  stream.StartWrite(&stream.response_);
}

void HealthService::Written(Stream& stream, bool ok) {
  MutexLock lock(mutex_);
  stream.writing_ = false;
  if (!ok) return End(stream);
  if (stream.wanted_ != stream.response_.status()) Tell(stream, stream.wanted_);
}

void HealthService::Cancel(Stream& stream) {
  MutexLock lock(mutex_);
  End(stream);
}

void HealthService::End(Stream& stream) {
  if (std::exchange(stream.finished_, true)) return;
  stream.Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
}

void HealthService::Leave(Stream& stream) {
  MutexLock lock(mutex_);
  const auto entry = services_.find(stream.name_);
  entry->second.streams.erase(&stream);
  const bool known = entry->second.status != HealthCheckResponse::SERVICE_UNKNOWN;
  if (!known && entry->second.streams.empty()) services_.erase(entry);
}

}  // namespace kinsock
