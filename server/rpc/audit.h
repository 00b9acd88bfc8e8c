// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_AUDIT_H_
#define KINSOCK_SERVER_RPC_AUDIT_H_

#include <grpcpp/support/server_callback.h>

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/access.h"
#include "server/rpc/caller.h"
#include "server/rpc/event_limiter.h"
#include "server/rpc/event_log.h"

namespace kinsock {

// Who has changed what by the API, and who was not allowed to, for the event log.
//
// Thread: any.
class Audit {
 public:
  // All outlive this.
  Audit(EventLoop& main, EventLog& log, const Access& access);

  // A call of `method` ("VmService.CreateVm"), which is to change `object` ("vms/a", "daemon"), ends with `status`.
  // Before it is finished: the context goes then. `fields`: what else belongs to it.
  void Mutation(const grpc::CallbackServerContext& context, std::string_view method, std::string_view object,
                const absl::Status& status, const std::map<std::string, std::string>& fields = {});

  // The same for what lasts: who it is has to be asked while the call's connection is there.
  struct Who {
    absl::StatusOr<Caller> caller;
    v1::Actor actor;
  };
  Who WhoCalls(const grpc::CallbackServerContext& context) const;
  void Mutation(const Who& who, std::string_view method, std::string_view object, const absl::Status& status,
                const std::map<std::string, std::string>& fields);

  // `caller` lacks the role for `method`.
  void Denied(const absl::StatusOr<Caller>& caller, std::string_view method, Role need);

 private:
  EventLoop& main_;
  EventLog& log_;
  const Access& access_;
  EventLimiter denials_;  // main thread's
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_AUDIT_H_
