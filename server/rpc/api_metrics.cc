// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_metrics.h"

#include <google/protobuf/descriptor.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace kinsock {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr const char* kServices[] = {"kinsock.v1.VmService", "kinsock.v1.ConnectionService",
                                     "kinsock.v1.NetworkService", "kinsock.v1.ForwardService",
                                     "kinsock.v1.AdminService"};

// One call.
class Meter final : public grpc::experimental::Interceptor {
 public:
  explicit Meter(ApiMetrics::Method& method) : method_(method), start_(Clock::Monotonic().Now()) {
    method_.started.fetch_add(1, std::memory_order_relaxed);
  }
  // Without a status: the client went away before it got one.
  ~Meter() override {
    if (!counted_) Count(grpc::StatusCode::CANCELLED);
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      Count(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  void Count(grpc::StatusCode code) {
    if (counted_) return;
    counted_ = true;
    const size_t index =
        static_cast<size_t>(code) < ApiMetrics::kCodes ? static_cast<size_t>(code) : static_cast<size_t>(grpc::UNKNOWN);
    method_.handled[index].fetch_add(1, std::memory_order_relaxed);
    if (method_.is_unary) method_.times.Add(Clock::Monotonic().Now() - start_);
  }

  ApiMetrics::Method& method_;
  const MonotonicTime start_;
  bool counted_ = false;
};

class MeterFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit MeterFactory(std::function<ApiMetrics::Method&(std::string_view)> find) : find_(std::move(find)) {}
  // gRPC owns what it gets.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    return new Meter(find_(info->method()));
  }

 private:
  const std::function<ApiMetrics::Method&(std::string_view)> find_;
};

}  // namespace

ApiMetrics::ApiMetrics() : other_(std::make_unique<Method>()) {
  other_->service = other_->name = "other";
  other_->is_unary = false;
  const google::protobuf::DescriptorPool& pool = *google::protobuf::DescriptorPool::generated_pool();
  for (const char* name : kServices) {
    const google::protobuf::ServiceDescriptor* service = pool.FindServiceByName(name);
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      auto method = std::make_unique<Method>();
      method->service = name;
      method->name = service->method(i)->name();
      method->is_unary = !service->method(i)->server_streaming();
      methods_.emplace(absl::StrCat("/", name, "/", method->name), std::move(method));
    }
  }
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ApiMetrics::NewInterceptors() {
  return std::make_unique<MeterFactory>([this](std::string_view path) -> Method& { return Find(path); });
}

ApiMetrics::Method& ApiMetrics::Find(std::string_view path) {
  const auto found = methods_.find(path);
  return found != methods_.end() ? *found->second : *other_;
}

std::vector<const ApiMetrics::Method*> ApiMetrics::methods() const {
  std::vector<const Method*> methods{other_.get()};
  for (const auto& [path, method] : methods_) methods.push_back(method.get());
  return methods;
}

const char* ApiMetrics::CodeName(size_t code) {
  constexpr std::array<const char*, kCodes> kNames{
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  return code < kNames.size() ? kNames[code] : "Unknown";
}

}  // namespace kinsock
