// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_ACCESS_H_
#define KINSOCK_SERVER_RPC_ACCESS_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/rpc/api_connections.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/call_queue.h"
#include "server/rpc/caller.h"
#include "server/rpc/role_rules.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// The role that a method of kinsock.v1 needs, by its name without the package: "VmService.CreateVm". Nothing: there is
// no such method in the table, of which access.cc has the only one.
std::optional<Role> RoleNeeded(std::string_view method);

// Who may call what. Each method begins here; access_test calls all of them to see that they do.
// Those with one answer do so as a UnaryCall, those whose answer is a stream with AdmitWatch().
//
// Any thread; a call must not be finished yet.
class Access {
 public:
  // `connections` outlive this object. `rules`: until there are others.
  Access(const ApiConnections& connections, const RoleRules& rules)
      : connections_(connections), rules_(std::make_shared<const RoleRules>(rules)) {}

  // From the next call on, also of connections that are open.
  void SetRules(const RoleRules& rules);
  std::shared_ptr<const RoleRules> rules() const;

  // From the next call on nobody may call anything, for `reason`.
  void Close(const absl::Status& reason);

  // Called with each call that is denied, on the thread of the call. Before there are any.
  using OnDenied = std::function<void(const absl::StatusOr<Caller>&, std::string_view method, Role need)>;
  void set_on_denied(OnDenied on_denied) { on_denied_ = std::move(on_denied); }

  // Who calls. UNAUTHENTICATED ROLE_REQUIRED: that cannot be told.
  absl::StatusOr<Caller> CallerOf(const grpc::CallbackServerContext& context) const;

  // OK: the caller may call `method`. Else PERMISSION_DENIED ROLE_REQUIRED {need, have, method, socket}, or as above,
  // or what Close() said. A method that is not in the table needs an admin.
  absl::Status Check(const grpc::CallbackServerContext& context, std::string_view method) const;

  // The same, and who it is.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context, std::string_view method) const;

  // The same for a method whose answer is a stream without end; then also RESOURCE_EXHAUSTED QUOTA_EXCEEDED. Keep the
  // ticket as long as the stream is open, but not longer than this object lives.
  absl::StatusOr<WatchQuota::Ticket> AdmitWatch(const grpc::CallbackServerContext& context,
                                                std::string_view method) const;

  // The same for those who ask for the schema, which everybody may: callers without a role are one caller here.
  absl::StatusOr<WatchQuota::Ticket> AdmitSchema(const grpc::CallbackServerContext& context) const;

  // The same for health, "Health.Check" or "Health.Watch". Users without a role are told apart here, so that none of
  // them takes the places of another's probe; those of whom nobody can tell who they are share one caller's.
  absl::StatusOr<WatchQuota::Ticket> AdmitHealth(const grpc::CallbackServerContext& context,
                                                 std::string_view method) const;

  // Where calls with one answer wait for their turn.
  CallQueue& calls() const { return calls_; }

 private:
  const ApiConnections& connections_;
  mutable Mutex mutex_;
  std::shared_ptr<const RoleRules> rules_ ABSL_GUARDED_BY(mutex_);
  absl::Status closed_ ABSL_GUARDED_BY(mutex_);  // why; OK: it is not
  OnDenied on_denied_;
  mutable WatchQuota watches_;
  mutable WatchQuota schema_{kMaxSchemaStreamsPerCaller};
  mutable WatchQuota health_{kMaxHealthWatchesPerCaller + kMaxHealthChecksPerCaller};
  mutable CallQueue calls_;
  mutable std::atomic<uint64_t> refused_{0};  // logged at each power of two: a client can be refused without end
};

// Ends a stream with `status` before anything was sent. Deletes itself.
template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_ACCESS_H_
