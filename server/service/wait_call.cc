// SPDX-License-Identifier: Apache-2.0
#include "server/service/wait_call.h"

#include <utility>

#include "server/convert/vm_conversion.h"
#include "server/status/status_conversion.h"

namespace kinsock {

WaitCall* WaitCall::Start(EventLoop& main, VmWaits& waits, absl::StatusOr<VmGoal> goal, std::string epoch,
                          WatchQuota::Ticket ticket, v1::Vm* response) {
  const std::shared_ptr<WaitCall> call(new WaitCall(main, waits, std::move(epoch), std::move(ticket), response));
  {
    MutexLock lock(call->mutex_);
    call->keep_alive_ = call;
  }
  if (goal.ok()) {
    main.Post([call, goal = *std::move(goal)]() mutable { call->Begin(std::move(goal)); });
  } else {
    call->End(goal.status());
  }
  return call.get();
}

void WaitCall::Begin(VmGoal goal) {
  {
    MutexLock lock(mutex_);
    if (finished_) return;  // cancelled before it began
  }
  // OnDone() comes after Finish(), and what it posts after this: the object is there whenever `done` runs.
  wait_ = waits_.Add(std::move(goal), [this](const absl::StatusOr<VmSnapshotPtr>& result) { End(result); });
}

void WaitCall::OnCancel() { End(absl::CancelledError("the client went away, or its deadline has passed")); }

void WaitCall::End(const absl::StatusOr<VmSnapshotPtr>& result) {
  MutexLock lock(mutex_);
  if (std::exchange(finished_, true)) return;
  if (result.ok() && *result != nullptr) *response_ = ToProto(**result, epoch_);
  Finish(ToGrpcStatus(result.status()));
}

void WaitCall::OnDone() {
  ticket_ = WatchQuota::Ticket();
  std::shared_ptr<WaitCall> self;
  {
    MutexLock lock(mutex_);
    self = std::move(keep_alive_);
  }
  // Main lets go of it last, for what is main's must go there.
  EventLoop& main = main_;
  main.Post([self = std::move(self)] {
    if (self->wait_.has_value()) self->waits_.Cancel(*self->wait_);
  });
}

}  // namespace kinsock
