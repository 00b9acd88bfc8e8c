// SPDX-License-Identifier: Apache-2.0
//
// The daemon itself, as an administrator meets it over gRPC.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/host/log.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
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

TEST_F(AdminTest, TheReactorsAreToldOfOneByOne) {
  testing::SimulatedGuest a(stage_), b(stage_);
  for (const auto& [id, guest] : {std::make_pair("a", &a), std::make_pair("b", &b)}) {
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(id, guest == &a ? 3 : 4, &vm).ok());
    ASSERT_TRUE(guest->PowerOn(vm.status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage_.RunUntil(
        [&] { return daemon_.Get(vm.name(), &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; }));
  }
  b.Listen(80);
  const testing::Stream call = a.Connect(4, 80);
  ASSERT_TRUE(stage_.RunUntil([&] { return call.established(); }));

  const v1::Info info = daemon_.Info();
  ASSERT_EQ(static_cast<uint32_t>(info.reactors_size()), info.counts().reactors());
  uint64_t vms = 0, connections = 0;
  for (int i = 0; i < info.reactors_size(); ++i) {
    const v1::Reactor& reactor = info.reactors(i);
    EXPECT_EQ(reactor.index(), static_cast<uint32_t>(i));
    EXPECT_GT(reactor.sleeps(), 0u);
    EXPECT_GT(TimeUtil::DurationToNanoseconds(reactor.cpu_time()), 0);
    EXPECT_GE(TimeUtil::DurationToNanoseconds(reactor.since_last_round()), 0);
    EXPECT_EQ(access(absl::StrCat("/proc/self/task/", reactor.thread_id()).c_str(), F_OK), 0) << reactor.thread_id();
    vms += reactor.vms();
    connections += reactor.connections();
  }
  EXPECT_EQ(vms, 2u);
  EXPECT_EQ(connections, 2u) << "one, counted for both";
  EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Info().reactors(0).asleep(); })) << "nobody has anything to say";
}

TEST_F(AdminTest, ALevelThatMakesNoSenseNamesAllThatIsWrong) {
  for (const int64_t seconds : {-1, 86'401}) {
    EXPECT_THAT(BadFields(SetLevel(v1::SetLogLevelRequest::LEVEL_UNSPECIFIED, seconds)).field_violations(), SizeIs(2));
  }
  EXPECT_EQ(CurrentLogLevel(), LogLevel::kInfo);
}

}  // namespace
}  // namespace kinsock
