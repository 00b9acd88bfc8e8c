// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/malformed_request.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

using grpc::experimental::InterceptionHookPoints;

// The field of the last text that this thread has met and that was not UTF-8. gRPC asks its interceptors on the thread
// that has parsed, and before it parses anything else.
thread_local std::string not_utf8;

// "kinsock.v1.CreateVmRequest.vm_id" is the request's own "vm_id"; "kinsock.v1.Vm.name" is "Vm.name": where in the
// request that Vm was the parser does not say.
std::string FieldOf(std::string_view full_name) {
  absl::string_view name = AbslView(full_name);
  absl::ConsumePrefix(&name, "kinsock.v1.");
  const size_t dot = name.find('.');
  if (dot != absl::string_view::npos && absl::EndsWith(name.substr(0, dot), "Request")) name.remove_prefix(dot + 1);
  return std::string(name);
}

class MalformedRequest final : public grpc::experimental::Interceptor {
 public:
  explicit MalformedRequest(std::string_view method) : method_(method) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* call) override {
    if (call->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      malformed_ = call->GetRecvMessage() == nullptr;
      if (malformed_) field_.swap(not_utf8);
      not_utf8.clear();
    }
    if (malformed_ && call->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      call->ModifySendStatus(ToGrpcStatus(Fault()));
    }
    call->Proceed();
  }

 private:
  absl::Status Fault() const {
    if (!field_.empty()) return FieldsInvalid("", {{FieldOf(field_), "is not UTF-8, which all text here is"}});
    return Error(absl::StatusCode::kInvalidArgument, "REQUEST_MALFORMED",
                 absl::StrCat("the bytes that came with this call are no request of ", AbslView(method_)))
        .With("method", method_);
  }

  const std::string_view method_;  // gRPC's, which lives as long as the server
  bool malformed_ = false;
  std::string field_;
};

class Interceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    using Type = grpc::experimental::ServerRpcInfo::Type;
    // Where clients send any number of messages, "no message" is how they end.
    const bool one_request = info->type() == Type::UNARY || info->type() == Type::SERVER_STREAMING;
    return one_request ? new MalformedRequest(info->method()) : nullptr;
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeMalformedRequestInterceptors() {
  return std::make_unique<Interceptors>();
}

// "String field 'kinsock.v1.CreateVmRequest.vm_id' contains invalid UTF-8 data when parsing a protocol buffer. ..."
void NoteParserMessage(std::string_view message) {
  absl::string_view rest = AbslView(message);
  if (!absl::ConsumePrefix(&rest, "String field")) return;
  const size_t open = rest.find('\'');
  const size_t close = rest.find('\'', open + 1);
  if (open == absl::string_view::npos || close == absl::string_view::npos) return;
  if (absl::StrContains(rest, "invalid UTF-8")) not_utf8 = std::string(rest.substr(open + 1, close - open - 1));
}

}  // namespace kinsock
