// SPDX-License-Identifier: Apache-2.0
//
// The daemon itself, as an administrator meets it over gRPC.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <string>

#include "server/log.h"
#include "tests/server/running_daemon.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;
using testing::BadFields;
using testing::Reason;
using testing::RunningDaemon;
using ::testing::SizeIs;

class AdminTest : public ::testing::Test {
 protected:
  grpc::Status Drain(bool undo, const std::string& reason = "kernel update") {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::DrainRequest request;
    request.set_undo(undo);
    request.set_reason(reason);
    google::protobuf::Empty nothing;
    return daemon_.admin().Drain(&context, request, &nothing);
  }

  grpc::Status SetLevel(v1::SetLogLevelRequest::Level level, int64_t seconds = 0) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::SetLogLevelRequest request;
    request.set_level(level);
    if (seconds != 0) *request.mutable_duration() = TimeUtil::SecondsToDuration(seconds);
    google::protobuf::Empty nothing;
    return daemon_.admin().SetLogLevel(&context, request, &nothing);
  }

  RunningDaemon daemon_;
  testing::Stage stage_;
};

TEST_F(AdminTest, ADrainingNodeKeepsItsVmsAndTakesNoNewOnes) {
  ASSERT_TRUE(daemon_.Create("old").ok());
  ASSERT_TRUE(Drain(false).ok());
  EXPECT_TRUE(daemon_.Info().draining());
  const grpc::Status refused = daemon_.Create("new");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(refused), "DRAINING");
  EXPECT_TRUE(daemon_.Get("vms/old").ok());
  EXPECT_TRUE(daemon_.Delete("old").ok());
  EXPECT_TRUE(Drain(false).ok()) << "once more does no harm";

  ASSERT_TRUE(Drain(true).ok());
  EXPECT_FALSE(daemon_.Info().draining());
  EXPECT_TRUE(daemon_.Create("new").ok());
  EXPECT_EQ(Reason(Drain(true, std::string(257, 'x'))), "FIELD_INVALID");
}

TEST_F(AdminTest, TheLogLevelGoesBackByItself) {
  ASSERT_EQ(CurrentLogLevel(), LogLevel::kInfo);
  ASSERT_TRUE(SetLevel(v1::SetLogLevelRequest::ERROR).ok());
  EXPECT_EQ(CurrentLogLevel(), LogLevel::kError);
  ASSERT_TRUE(SetLevel(v1::SetLogLevelRequest::WARNING, 1).ok());
  EXPECT_EQ(CurrentLogLevel(), LogLevel::kWarning);
  EXPECT_TRUE(stage_.RunUntil([] { return CurrentLogLevel() == LogLevel::kInfo; }));
}

TEST_F(AdminTest, ALevelThatMakesNoSenseNamesAllThatIsWrong) {
  for (const int64_t seconds : {-1, 86'401}) {
    EXPECT_THAT(BadFields(SetLevel(v1::SetLogLevelRequest::LEVEL_UNSPECIFIED, seconds)).field_violations(), SizeIs(2));
  }
  EXPECT_EQ(CurrentLogLevel(), LogLevel::kInfo);
}

}  // namespace
}  // namespace kinsock
