// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_WAIT_CALL_H_
#define KINSOCK_SERVER_SERVICE_WAIT_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "server/model/vm_goal.h"
#include "server/rpc/watch_quota.h"
#include "server/service/vm_waits.h"

namespace kinsock {

// One WaitVm call: open until the goal is reached, or the client's deadline or patience ends. No thread waits for it.
//
//     gRPC:  Start ----------> main:  waits_.Add ... reached --> Finish
//            OnCancel ------->        waits_.Cancel
//            OnDone: gRPC is through with it; main's messages keep it until they ran
class WaitCall final : public grpc::ServerUnaryReactor, public std::enable_shared_from_this<WaitCall> {
 public:
  // Any thread. `main`, `waits` and `response` outlive the call.
  static WaitCall* Start(EventLoop& main, VmWaits& waits, absl::StatusOr<VmGoal> goal, std::string epoch,
                         WatchQuota::Ticket ticket, v1::Vm* response);

  void OnCancel() override;
  void OnDone() override;

 private:
  WaitCall(EventLoop& main, VmWaits& waits, std::string epoch, WatchQuota::Ticket ticket, v1::Vm* response)
      : main_(main), waits_(waits), epoch_(std::move(epoch)), ticket_(std::move(ticket)), response_(response) {}

  void Begin(VmGoal goal);
  void End(const absl::StatusOr<VmSnapshotPtr>& result);

  EventLoop& main_;
  VmWaits& waits_;
  const std::string epoch_;
  WatchQuota::Ticket ticket_;
  v1::Vm* const response_;           // gRPC's, until Finish()
  std::optional<VmWaits::Id> wait_;  // main thread's

  Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<WaitCall> keep_alive_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_WAIT_CALL_H_
