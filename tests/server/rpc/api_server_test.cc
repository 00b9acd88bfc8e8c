// SPDX-License-Identifier: Apache-2.0
//
// How the API's server stops: it waits for what it has promised to answer and for those who are to read that, and for
// nothing else. A grace of an hour would be met here by the test's own deadline.
#include "server/rpc/api_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "server/rpc/api_metrics.h"
#include "tests/server/raw_client.h"

namespace kinsock {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
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

  static void Call(RawClient& client, std::string_view method) {
    ASSERT_TRUE(client.Frame(testing::kHeaders, testing::kEndHeaders, 1, testing::CallHeaders(method)));
    ASSERT_TRUE(client.Frame(testing::kData, testing::kEndStream, 1, "\0\0\0\0\0"s));
  }

  // Waits until the server has sent a frame of `type`, as it does when it serves the connection, or a call.
  static bool Sees(RawClient& client, testing::FrameType type) {
    for (std::optional<RawClient::Answer> answer = client.Next(); answer.has_value(); answer = client.Next()) {
      if (answer->type == type) return true;
    }
    return false;
  }

  // Reads and answers pings until the server hangs up: which of the two the server has said, in its order.
  static std::vector<std::string> ReadToTheEnd(RawClient& client) {
    std::vector<std::string> said;
    for (std::optional<RawClient::Answer> answer = client.Next(); answer.has_value(); answer = client.Next()) {
      if (answer->type == testing::kPing) client.Frame(testing::kPing, testing::kAck, 0, answer->payload);
      const bool goaway = answer->type == testing::kGoaway;
      if (!goaway && answer->type != testing::kHeaders) continue;
      const std::string word = goaway ? "goaway" : "answer";
      if (said.empty() || said.back() != word) said.push_back(word);
    }
    return said;
  }

  std::future<void> Shutdown() {
    return std::async(std::launch::async, [this] { api_->Shutdown(kLongGrace); });
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
  ASSERT_NO_FATAL_FAILURE(Call(watcher, "grpc.health.v1.Health/Watch"));
  ASSERT_TRUE(Sees(watcher, testing::kData));
  api_->Shutdown(kLongGrace);
  EXPECT_TRUE(watcher.HungUp());
}

TEST_F(ApiServerTest, ACallUnderWayIsAnsweredAndReadBeforeAnybodyIsSentAway) {
  RawClient idle(Connect()), caller(Connect());
  ASSERT_TRUE(Sees(idle, testing::kSettings));
  ASSERT_NO_FATAL_FAILURE(Call(caller, "kinsock.v1.AdminService/GetInfo"));
  HeldCall& held = slow_.call();
  const std::future<void> stopped = Shutdown();
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout) << "it is not answered";
  held.End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the daemon is stopping"));
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout) << "it is not read";
  EXPECT_THAT(ReadToTheEnd(caller), ElementsAre("answer", "goaway"));
  stopped.wait();
  EXPECT_TRUE(idle.HungUp()) << "though it never answered";
}

TEST_F(ApiServerTest, AClientThatLeavesWithItsAnswerIsNotWaitedForEither) {
  std::optional<RawClient> caller(Connect());
  ASSERT_NO_FATAL_FAILURE(Call(*caller, "kinsock.v1.AdminService/GetInfo"));
  HeldCall& held = slow_.call();
  const std::future<void> stopped = Shutdown();
  held.End(grpc::Status::OK);
  ASSERT_TRUE(Sees(*caller, testing::kHeaders));
  caller.reset();
  stopped.wait();
}

TEST_F(ApiServerTest, ACallThatBeginsWhenTheStopHasBegunIsNotWaitedFor) {
  api_->Close();
  RawClient late(Connect());
  ASSERT_NO_FATAL_FAILURE(Call(late, "kinsock.v1.AdminService/GetInfo"));
  slow_.call();
  api_->Shutdown(kLongGrace);
  EXPECT_TRUE(late.HungUp());
}

TEST_F(ApiServerTest, ACallThatDoesNotEndIsCutOffAfterTheGrace) {
  RawClient caller(Connect());
  ASSERT_NO_FATAL_FAILURE(Call(caller, "kinsock.v1.AdminService/GetInfo"));
  slow_.call();
  api_->Shutdown(std::chrono::milliseconds(0));
  EXPECT_TRUE(caller.HungUp());
}

}  // namespace
}  // namespace kinsock
