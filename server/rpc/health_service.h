// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_HEALTH_SERVICE_H_
#define KINSOCK_SERVER_RPC_HEALTH_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "api/grpc/health/v1/health.grpc.pb.h"
#include "base/mutex.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// The place of one call of `method` ("Health.Watch"), or why there is none. Null: nobody counts.
using AdmitHealth =
    std::function<absl::StatusOr<WatchQuota::Ticket>(const grpc::CallbackServerContext&, std::string_view method)>;

// grpc.health.v1: whether a service serves, asked once or followed. Not gRPC's own: that one lets each client have as
// many watches as it likes.
//
//     Check:  what it is now. NOT_FOUND: nothing was said of such a service.
//     Watch:  what it is now, SERVICE_UNKNOWN included, and each change. Of changes that come faster than its client
//             reads it tells the last: it holds one message.
//
// Both: INVALID_ARGUMENT: the request has more than kMaxHealthQuestionBytes; or what `admit` says.
//
// Thread: any. Outlives the gRPC server.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  explicit HealthService(AdmitHealth admit = nullptr);
  ~HealthService() override;

  // `service`: "kinsock.v1.VmService"; "" is the server as a whole. Nothing, once it is closed.
  void Set(const std::string& service, bool serving);

  // No service serves from here on.
  void Close();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Answer;
  class Stream;
  using Serving = grpc::health::v1::HealthCheckResponse::ServingStatus;
  struct Service {
    Serving status = grpc::health::v1::HealthCheckResponse::SERVICE_UNKNOWN;
    std::set<Stream*> streams;  // that follow it
  };

  absl::StatusOr<WatchQuota::Ticket> Admit(const grpc::CallbackServerContext& context, std::string_view method,
                                           const grpc::health::v1::HealthCheckRequest& request) const;
  void Change(Service& service, Serving status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // For streams.
  void Enter(Stream& stream);
  void Written(Stream& stream, bool ok);
  void Cancel(Stream& stream);
  void Leave(Stream& stream);
  void Tell(Stream& stream, Serving status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(Stream& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AdmitHealth admit_;
  Mutex mutex_;
  std::map<std::string, Service> services_ ABSL_GUARDED_BY(mutex_);  // known, or followed
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_HEALTH_SERVICE_H_
