// SPDX-License-Identifier: Apache-2.0
//
// How the API's server stops: it waits for what it has promised to answer, and for nothing else. A grace of an hour
// would be met here by the test's own deadline.
#include "server/api_server.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "server/api_metrics.h"
#include "tests/server/raw_client.h"

namespace kinsock {
namespace {

using namespace std::string_literals;
using testing::RawClient;

constexpr std::chrono::hours kLongGrace{1};

// A call that ends when it is told to, or when it is cut off.
class HeldCall final : public grpc::ServerUnaryReactor {
 public:
  void End(const grpc::Status& status) {
    if (!ended_.exchange(true)) Finish(status);
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  std::atomic<bool> ended_{false};
};

// Takes its time for one call.
class SlowService final : public v1::AdminService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext*, const v1::GetInfoRequest*, v1::Info*) override {
    auto* const call = new HeldCall;
    begun_.set_value(call);
    return call;
  }
  // Waits until there is one.
  HeldCall& call() { return *begun_.get_future().get(); }

 private:
  std::promise<HeldCall*> begun_;
};

class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() : api_(*ApiServer::Start({&slow_}, metrics_)) {}

  UniqueFd Connect() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    api_->Serve(UniqueFd(ends[1]));
    return UniqueFd(ends[0]);
  }

  // Waits until the server has sent a frame of `type`, as it does when it serves the connection, or a call.
  static bool Sees(RawClient& client, testing::FrameType type) {
    for (std::optional<RawClient::Answer> answer = client.Next(); answer.has_value(); answer = client.Next()) {
      if (answer->type == type) return true;
    }
    return false;
  }

  // GetInfo, without a deadline.
  std::future<grpc::Status> Call() {
    return std::async(std::launch::async, [fd = Connect()]() mutable {
      const auto admin = v1::AdminService::NewStub(grpc::CreateInsecureChannelFromFd("test", fd.release()));
      grpc::ClientContext context;
      v1::Info info;
      return admin->GetInfo(&context, v1::GetInfoRequest(), &info);
    });
  }

  ApiMetrics metrics_;
  SlowService slow_;
  std::unique_ptr<ApiServer> api_;
};

TEST_F(ApiServerTest, AClientThatIsIdleAndAnswersNothingDoesNotHoldUpTheStop) {
  RawClient idle(Connect());
  ASSERT_TRUE(Sees(idle, testing::kSettings));
  api_->Shutdown(kLongGrace);
  EXPECT_TRUE(idle.HungUp());
}

TEST_F(ApiServerTest, NorDoesACallThatOnlyItsClientEnds) {
  RawClient watcher(Connect());
  ASSERT_TRUE(
      watcher.Frame(testing::kHeaders, testing::kEndHeaders, 1, testing::CallHeaders("grpc.health.v1.Health/Watch")));
  ASSERT_TRUE(watcher.Frame(testing::kData, testing::kEndStream, 1, "\0\0\0\0\0"s));
  ASSERT_TRUE(Sees(watcher, testing::kData));
  api_->Shutdown(kLongGrace);
  EXPECT_TRUE(watcher.HungUp());
}

TEST_F(ApiServerTest, ACallUnderWayIsAnsweredFirst) {
  RawClient idle(Connect());
  ASSERT_TRUE(Sees(idle, testing::kSettings));
  std::future<grpc::Status> call = Call();
  HeldCall& held = slow_.call();
  std::future<void> stopped = std::async(std::launch::async, [this] { api_->Shutdown(kLongGrace); });
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  held.End(grpc::Status::OK);
  EXPECT_TRUE(call.get().ok());
  stopped.get();
  EXPECT_TRUE(idle.HungUp());
}

TEST_F(ApiServerTest, ACallThatDoesNotEndIsCutOffAfterTheGrace) {
  std::future<grpc::Status> call = Call();
  slow_.call();
  api_->Shutdown(std::chrono::milliseconds(0));
  EXPECT_FALSE(call.get().ok());
}

}  // namespace
}  // namespace kinsock
