// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/health_service.h"

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "server/rpc/api_limits.h"

namespace kinsock {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr char kVms[] = "kinsock.v1.VmService";
// Only a service that hangs meets it.
constexpr std::chrono::seconds kPatience{60};

HealthCheckRequest About(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  return request;
}

class HealthServiceTest : public ::testing::Test {
 protected:
  HealthServiceTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
    stub_ = Health::NewStub(server_->InProcessChannel(grpc::ChannelArguments()));
  }
  ~HealthServiceTest() override { server_->Shutdown(); }

  // A client that follows `service`.
  class Watcher {
   public:
    Watcher(Health::Stub& stub, const HealthCheckRequest& request) {
      context_.set_deadline(std::chrono::system_clock::now() + kPatience);
      reader_ = stub.Watch(&context_, request);
    }
    ~Watcher() {
      context_.TryCancel();
      if (reader_ != nullptr) reader_->Finish();
    }
    // What it is told next; UNKNOWN, which nobody is told: the watch has ended.
    HealthCheckResponse::ServingStatus Next() {
      HealthCheckResponse response;
      return reader_->Read(&response) ? response.status() : HealthCheckResponse::UNKNOWN;
    }
    grpc::Status End() { return std::exchange(reader_, nullptr)->Finish(); }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader_;
  };

  grpc::Status Check(const HealthCheckRequest& request, HealthCheckResponse& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return stub_->Check(&context, request, &response);
  }
  HealthCheckResponse::ServingStatus Check(const std::string& service) {
    HealthCheckResponse response;
    const grpc::Status status = Check(About(service), response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  }

  // Of watches there is one; a check may still have its place when its client begins the next one.
  WatchQuota quota_{100};
  HealthService health_{[this](const grpc::CallbackServerContext&, std::string_view method) {
    return quota_.Enter(Caller(), method, method == "Health.Watch" ? 1 : 50);
  }};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_F(HealthServiceTest, ChecksWhatWasSaidLast) {
  health_.Set("", true);
  health_.Set(kVms, false);
  EXPECT_EQ(Check(""), HealthCheckResponse::SERVING);
  EXPECT_EQ(Check(kVms), HealthCheckResponse::NOT_SERVING);
  health_.Set(kVms, true);
  EXPECT_EQ(Check(kVms), HealthCheckResponse::SERVING);
}

TEST_F(HealthServiceTest, WhatNobodyHasSpokenOfIsNotFoundAlsoWhileSomebodyWatchesIt) {
  HealthCheckResponse response;
  const grpc::Status unknown = Check(About("of old"), response);
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(unknown.error_message(), HasSubstr("\"of old\""));
  Watcher watcher(*stub_, About("of old"));
  ASSERT_EQ(watcher.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  EXPECT_EQ(Check(About("of old"), response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthServiceTest, AWatchIsToldAtOnceAndOfEachChange) {
  health_.Set(kVms, true);
  Watcher watcher(*stub_, About(kVms));
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVING);
  health_.Set(kVms, true);
  health_.Set("", false);
  health_.Set(kVms, false);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING) << "the others were no change of this";
  health_.Set(kVms, true);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVING);
}

TEST_F(HealthServiceTest, AWatchWaitsForAServiceThatIsNotThereYet) {
  Watcher watcher(*stub_, About("later"));
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  health_.Set("later", true);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVING);
}

TEST_F(HealthServiceTest, OfManyChangesNothingIsToldTwice) {
  constexpr int kChanges = 10'000;
  health_.Set(kVms, true);
  Watcher watcher(*stub_, About(kVms));
  HealthCheckResponse::ServingStatus told = watcher.Next();
  ASSERT_EQ(told, HealthCheckResponse::SERVING);
  std::thread changing([&] {
    for (int i = 1; i <= kChanges; ++i) health_.Set(kVms, i % 2 == 0);
    health_.Close();
  });
  // The last change is told in any case, and is not what it was.
  for (int i = 0; i == 0 || told != HealthCheckResponse::NOT_SERVING; ++i) {
    const HealthCheckResponse::ServingStatus next = watcher.Next();
    EXPECT_NE(next, HealthCheckResponse::UNKNOWN) << "after " << i;
    EXPECT_NE(next, told) << "after " << i;
    if (next == HealthCheckResponse::UNKNOWN) break;
    told = next;
  }
  changing.join();
}

TEST_F(HealthServiceTest, WhenItIsClosedNothingServesAnyMore) {
  health_.Set("", true);
  Watcher watcher(*stub_, About(""));
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::SERVING);
  health_.Close();
  health_.Set("", true);
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check(""), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthServiceTest, AWatchHasAPlaceUntilItEnds) {
  health_.Set("", true);
  {
    Watcher first(*stub_, About(""));
    EXPECT_EQ(first.Next(), HealthCheckResponse::SERVING);
    Watcher second(*stub_, About(""));
    EXPECT_EQ(second.Next(), HealthCheckResponse::UNKNOWN);
    const grpc::Status refused = second.End();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(refused.error_message(),
                HasSubstr("the crowd of callers without a role has 1 streams of Health.Watch open"));
    EXPECT_EQ(Check(""), HealthCheckResponse::SERVING) << "of the other method there are others";
  }
  // The service hears of it in its own time.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (bool served = false; !served;) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    served = Watcher(*stub_, About("")).Next() == HealthCheckResponse::SERVING;
  }
}

TEST_F(HealthServiceTest, NoNameIsLongAndNothingElseIsKept) {
  // Two bytes say what it is and how long.
  const std::string longest(kMaxHealthQuestionBytes - 3, 'x');
  HealthCheckResponse response;
  EXPECT_EQ(Check(About(longest), response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Check(About(longest + "x"), response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Watcher watcher(*stub_, About(longest + "x"));
  EXPECT_EQ(watcher.Next(), HealthCheckResponse::UNKNOWN);
  const grpc::Status refused = watcher.End();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("at most 200 fit"));
  // Fields that the message does not have.
  HealthCheckRequest strange;
  strange.GetReflection()->MutableUnknownFields(&strange)->AddLengthDelimited(99, std::string(1000, 'x'));
  EXPECT_EQ(Check(strange, response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace kinsock
