// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/unary_call.h"

#include <grpcpp/server_context.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/status/status_conversion.h"

namespace kinsock {

UnaryCall::UnaryCall(EventLoop& main, const Access& access, std::string_view method,
                     const grpc::CallbackServerContext& context, const google::protobuf::Message& request,
                     const google::protobuf::Message& response)
    : main_(main), queue_(access.calls()), context_(context), request_(request), response_(response) {
  absl::StatusOr<Caller> caller = access.Admit(context, method);
  if (caller.ok()) {
    caller_ = *std::move(caller);
  } else {
    End(caller.status());
  }
}

void UnaryCall::WhenItsTurn(absl::AnyInvocable<void()> run) {
  run_ = std::move(run);
  // From here on main may have run it, and ended it.
  const absl::Status entered = queue_.Enter(main_, *caller_, context_.peer(), request_.ByteSizeLong(), *this);
  if (!entered.ok()) End(entered);
}

void UnaryCall::Run() {
  if (context_.IsCancelled()) return End(absl::CancelledError("the client went away, or its deadline has passed"));
  // What ends it ends this object.
  absl::AnyInvocable<void()> run = std::move(run_);
  run();
}

void UnaryCall::End(const absl::Status& status) {
  ended_ = true;
  if (status.ok()) queue_.Answered(*this, response_.ByteSizeLong());
  Finish(ToGrpcStatus(status));
}

void UnaryCall::OnCancel() {
  if (!queue_.Withdraw(*this)) return;
  Finish(grpc::Status::CANCELLED);
}

void UnaryCall::OnDone() {
  queue_.Leave(*this);
  delete this;
}

}  // namespace kinsock
