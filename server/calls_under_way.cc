// SPDX-License-Identifier: Apache-2.0
#include "server/calls_under_way.h"

#include <string_view>

namespace kinsock {
namespace {

constexpr std::string_view kOurs = "/kinsock.v1.";

// Goes with the call, which gRPC keeps until the transport has taken its status.
class Presence final : public grpc::experimental::Interceptor {
 public:
  explicit Presence(CallsUnderWay& calls) : call_(calls) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override { methods->Proceed(); }

 private:
  CallsUnderWay::Call call_;
};

class PresenceFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit PresenceFactory(CallsUnderWay& calls) : calls_(calls) {}
  // gRPC owns what it gets; null: it has none for this call.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    const std::string_view method = info->method();
    return method.substr(0, kOurs.size()) == kOurs ? new Presence(calls_) : nullptr;
  }

 private:
  CallsUnderWay& calls_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallsUnderWay::NewInterceptors() {
  return std::make_unique<PresenceFactory>(*this);
}

bool CallsUnderWay::AwaitNone(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  return none_.wait_for(lock, patience, [this] { return count_ == 0; });
}

CallsUnderWay::Call::Call(CallsUnderWay& calls) : calls_(calls) {
  const std::lock_guard<std::mutex> lock(calls_.mutex_);
  ++calls_.count_;
}

CallsUnderWay::Call::~Call() {
  const std::lock_guard<std::mutex> lock(calls_.mutex_);
  if (--calls_.count_ == 0) calls_.none_.notify_all();
}

}  // namespace kinsock
