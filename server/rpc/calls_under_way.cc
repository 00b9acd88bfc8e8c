// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/calls_under_way.h"

#include <grpcpp/server_context.h>

#include <algorithm>

namespace kinsock {
namespace {

constexpr std::string_view kOurs = "/kinsock.v1.";

// Goes with the call, which gRPC keeps until its transport has written the status.
class Presence final : public grpc::experimental::Interceptor {
 public:
  Presence(CallsUnderWay& calls, std::string_view peer) : call_(calls, peer) {}
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
    if (method.substr(0, kOurs.size()) != kOurs) return nullptr;
    return new Presence(calls_, info->server_context()->peer());
  }

 private:
  CallsUnderWay& calls_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallsUnderWay::NewInterceptors() {
  return std::make_unique<PresenceFactory>(*this);
}

void CallsUnderWay::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (at_close_.has_value()) return;
  at_close_.emplace();
  for (const auto& [call, socket] : calls_) at_close_->push_back(socket);
}

bool CallsUnderWay::AwaitNone(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  return none_.wait_until(lock, deadline, [this] { return calls_.empty(); });
}

bool CallsUnderWay::ConnectionsAreClosed() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return at_close_.has_value() && std::none_of(at_close_->begin(), at_close_->end(), [](const auto& socket) {
           return !socket.has_value() || socket->IsOpen();
         });
}

CallsUnderWay::Call::Call(CallsUnderWay& calls, std::string_view peer) : calls_(calls) {
  const std::optional<PeerSocket> socket = PeerSocket::Of(peer);
  const std::lock_guard<std::mutex> lock(calls_.mutex_);
  if (!calls_.at_close_.has_value()) calls_.calls_.emplace(this, socket);
}

CallsUnderWay::Call::~Call() {
  const std::lock_guard<std::mutex> lock(calls_.mutex_);
  if (calls_.calls_.erase(this) > 0 && calls_.calls_.empty()) calls_.none_.notify_all();
}

}  // namespace kinsock
