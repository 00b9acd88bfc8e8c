// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_UNARY_CALLS_H_
#define KINSOCK_SERVER_RPC_UNARY_CALLS_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/unary_call.h"

namespace kinsock {

// The way of a service's calls: from gRPC's threads to main, when it is their turn there, where its manager decides,
// and back.
//
// Thread: any (gRPC's). All that is given outlives the gRPC server, and main runs until it is shut down.
class UnaryCalls {
 public:
  // Nothing more that the audit is to know.
  struct NoFields {
    std::map<std::string, std::string> operator()(const auto&, const auto&) const { return {}; }
  };

  UnaryCalls(EventLoop& main, const Access& access, Audit& audit) : main_(main), access_(access), audit_(audit) {}

  // Has `manager` decide about what a client wants, and answers with what `fill` makes of the result. `method`:
  // "NetworkService.CreateNetwork"; `object`: what the request is about, for the audit; `fields`: what else that is to
  // know of the request and its result.
  template <typename Request, typename Wanted, typename Manager, typename Result, typename Response, typename Fill,
            typename Fields = NoFields>
  grpc::ServerUnaryReactor* Decide(std::string_view method, grpc::CallbackServerContext* context,
                                   const Request& request, std::string object,
                                   absl::StatusOr<Wanted> (*convert)(const Request&), Manager& manager,
                                   void (Manager::*decide)(Wanted, absl::AnyInvocable<void(absl::StatusOr<Result>)>),
                                   Response* response, Fill fill, Fields fields = Fields()) {
    UnaryCall* const call = Admit(method, context, request, *response);
    if (call->ended()) return call;
    absl::StatusOr<Wanted> wanted = convert(request);
    if (!wanted.ok()) {
      if (!request.validate_only()) audit_.Mutation(*context, method, object, wanted.status());
      call->End(wanted.status());
      return call;
    }
    call->WhenItsTurn([this, method, context, call, &request, object = std::move(object), &manager, decide, response,
                       fill, fields, wanted = *std::move(wanted)]() mutable {
      (manager.*decide)(std::move(wanted), [this, method, context, call, &request, object = std::move(object), response,
                                            fill, fields](absl::StatusOr<Result> result) {
        if (result.ok()) fill(*result, *response);
        if (!request.validate_only()) {
          std::string about = object;
          if constexpr (requires { response->name(); }) {
            if (result.ok() && !response->name().empty()) about = response->name();
          }
          audit_.Mutation(*context, method, about, result.status(), fields(request, result));
        }
        call->End(result.status());
      });
    });
    return call;
  }

  // Answers with what `fill` says on main.
  template <typename Fill>
  grpc::ServerUnaryReactor* Answer(std::string_view method, grpc::CallbackServerContext* context,
                                   const google::protobuf::Message& request, const google::protobuf::Message& response,
                                   Fill fill) {
    UnaryCall* const call = Admit(method, context, request, response);
    if (!call->ended()) call->WhenItsTurn([call, fill = std::move(fill)]() mutable { call->End(fill()); });
    return call;
  }

  // A call that goes its own way. If it has ended() already, the caller may not call `method`.
  UnaryCall* Admit(std::string_view method, grpc::CallbackServerContext* context,
                   const google::protobuf::Message& request, const google::protobuf::Message& response) {
    return new UnaryCall(main_, access_, method, *context, request, response);
  }

 private:
  EventLoop& main_;
  const Access& access_;
  Audit& audit_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_UNARY_CALLS_H_
