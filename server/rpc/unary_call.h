// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_UNARY_CALL_H_
#define KINSOCK_SERVER_RPC_UNARY_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include <optional>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/event_loop.h"
#include "server/rpc/access.h"
#include "server/rpc/call_queue.h"
#include "server/rpc/caller.h"

namespace kinsock {

// One call that has one answer, from its arrival until gRPC is through with it.
//
//     gRPC:  new UnaryCall ---> WhenItsTurn --.         OnCancel: never runs, or is not answered
//                '-> End                      |         OnDone: the client has the answer, or is gone; deletes itself
//     main:                                   '-> run ... -> End
//
// Until End(), gRPC keeps the context, the request and the response.
class UnaryCall final : public grpc::ServerUnaryReactor, private CallQueue::Call {
 public:
  // On the thread of the call, which then returns it to gRPC. It has ended already if the caller may not call `method`
  // ("VmService.GetVm"). All that is given lives as long as the call.
  UnaryCall(EventLoop& main, const Access& access, std::string_view method, const grpc::CallbackServerContext& context,
            const google::protobuf::Message& request, const google::protobuf::Message& response);

  bool ended() const { return ended_; }

  // The thread of the call, once: `run` has its turn on main, unless the client goes away before, or too many calls
  // wait, in which case this ends it.
  void WhenItsTurn(absl::AnyInvocable<void()> run);

  // Any thread, once: the client gets the response, or `status`. The call may be gone when this returns.
  void End(const absl::Status& status);

  void OnCancel() override;
  void OnDone() override;

 private:
  ~UnaryCall() override = default;
  void Run() override;

  EventLoop& main_;
  CallQueue& queue_;
  const grpc::CallbackServerContext& context_;
  const google::protobuf::Message& request_;
  const google::protobuf::Message& response_;
  std::optional<Caller> caller_;  // who may
  absl::AnyInvocable<void()> run_;
  bool ended_ = false;  // for the thread of the call, before anybody else knows of it
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_UNARY_CALL_H_
