// SPDX-License-Identifier: Apache-2.0
#include "cli/call/call_log.h"

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdio>
#include <string_view>

#include "cli/call/exit_code.h"

namespace kinsock {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// "VmService.ListVms" for "/kinsock.v1.VmService/ListVms".
std::string ShortMethod(std::string_view method) {
  const size_t slash = method.rfind('/');
  if (slash == std::string_view::npos) return std::string(method);
  const std::string_view service = method.substr(0, slash);
  const size_t begin = service.find_last_of("./");
  return std::string(service.substr(begin == std::string_view::npos ? 0 : begin + 1)) + "." +
         std::string(method.substr(slash + 1));
}

class Note final : public Interceptor {
 public:
  Note(CallLog& log, const ClientRpcInfo& info)
      : log_(log), method_(ShortMethod(info.method())), begun_(std::chrono::steady_clock::now()) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      log_.last_ended = method_;
      if (log_.verbose) Tell(*methods->GetRecvStatus());
    }
    methods->Proceed();
  }

 private:
  void Tell(const grpc::Status& status) const {
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun_;
    std::fprintf(stderr, "kinsockctl: %s: %s in %.1f ms\n", method_.c_str(), StatusName(status.error_code()).c_str(),
                 took.count());
  }

  CallLog& log_;
  const std::string method_;
  const std::chrono::steady_clock::time_point begun_;
};

class Factory final : public ClientInterceptorFactoryInterface {
 public:
  explicit Factory(CallLog& log) : log_(log) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo* info) override { return new Note(log_, *info); }  // gRPC's own

 private:
  CallLog& log_;
};

}  // namespace

std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> NoteCallsIn(CallLog& log) {
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>(log));
  return factories;
}

}  // namespace kinsock
