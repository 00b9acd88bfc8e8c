// SPDX-License-Identifier: Apache-2.0
//
// Streams of which the daemon has few, as several users find them. They need root: "bazel test" of an ordinary user
// skips what only others can show.
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/event_log.h"
#include "server/service/captures.h"
#include "server/service/connection_feed.h"
#include "server/service/dump_call.h"
#include "server/service/stats_stream.h"
#include "tests/server/running_daemon.h"
#include "tests/support/other_user.h"

namespace kinsock {
namespace {

using testing::CanBeOthers;
using testing::ConnectAs;
using testing::OtherUser;
using testing::Reason;
using testing::RunningDaemon;

// As many users as are needed to have all places, and one more.
constexpr uid_t kFirst = 61'200;
constexpr gid_t kOperators = 61'100;

template <typename Reply>
class OpenStream {
 public:
  // `begin`: (channel, context) -> the reader of a new call.
  template <typename Begin>
  OpenStream(const std::shared_ptr<grpc::Channel>& channel, const Begin& begin) {
    testing::SetDeadline(context_);
    reader_ = begin(channel, &context_);
    Reply first;
    if (!reader_->Read(&first)) ended_ = std::exchange(reader_, nullptr)->Finish();
  }
  ~OpenStream() {
    if (reader_ == nullptr) return;
    context_.TryCancel();
    reader_->Finish();
  }
  // Why it was refused; OK: it was served.
  const grpc::Status& ended() const { return ended_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Reply>> reader_;
  grpc::Status ended_;
};

class StreamShareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CanBeOthers()) GTEST_SKIP() << "only root can be others";
    Config config;
    ASSERT_EQ(config.api_roles.Add("operator=group:61100"), "");
    umask(0007);  // as kinsockd does
    daemon_ = std::make_unique<RunningDaemon>(std::move(config));
    ASSERT_TRUE(daemon_->started().ok()) << daemon_->started();
    chmod(daemon_->directory().c_str(), 0755);
  }

  std::shared_ptr<grpc::Channel> ChannelOf(uid_t uid) {
    UniqueFd connection = ConnectAs({uid, uid, {kOperators}}, daemon_->api_socket());
    EXPECT_TRUE(connection.valid()) << "uid " << uid << " may not connect";
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // its window is 64 KiB, and does not grow
    return grpc::CreateCustomInsecureChannelFromFd("api", connection.release(), arguments);
  }

  // One user takes all that he gets, on connections old and new; then the next one, until the daemon has `all`.
  template <typename Reply, typename Begin>
  void EachHasHisShare(size_t all, size_t share, const Begin& begin) {
    std::vector<std::unique_ptr<OpenStream<Reply>>> open;
    uid_t uid = kFirst;
    for (; open.size() < all; ++uid) {
      const auto channel = ChannelOf(uid);
      for (size_t i = 0; i < share; ++i) {
        open.push_back(std::make_unique<OpenStream<Reply>>(channel, begin));
        ASSERT_TRUE(open.back()->ended().ok()) << uid << ": " << open.back()->ended().error_message();
      }
      const OpenStream<Reply> greedy(ChannelOf(uid), begin);
      EXPECT_EQ(greedy.ended().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
      EXPECT_EQ(Reason(greedy.ended()), "QUOTA_EXCEEDED");
      EXPECT_EQ(testing::Info(greedy.ended()).metadata().at("limit"), "streams_of_a_kind_per_caller");
    }
    ASSERT_EQ(uid - kFirst, all / share) << "so many users it takes to have all places";
    const OpenStream<Reply> late(ChannelOf(uid), begin);
    EXPECT_EQ(Reason(late.ended()), "QUOTA_EXCEEDED");
    EXPECT_NE(testing::Info(late.ended()).metadata().at("limit"), "streams_of_a_kind_per_caller");
  }

  std::unique_ptr<RunningDaemon> daemon_;
};

TEST_F(StreamShareTest, OfStatistics) {
  EachHasHisShare<v1::StatsReport>(StatsStream::kMaxStreams, kMaxRareStreamsPerCaller,
                                   [](const auto& channel, grpc::ClientContext* context) {
                                     v1::StreamStatsRequest request;
                                     request.mutable_interval()->set_seconds(3600);
                                     return v1::ConnectionService::NewStub(channel)->StreamStats(context, request);
                                   });
}

TEST_F(StreamShareTest, OfConnections) {
  EachHasHisShare<v1::WatchConnectionsResponse>(
      ConnectionFeed::kMaxWatches, kMaxRareStreamsPerCaller, [](const auto& channel, grpc::ClientContext* context) {
        return v1::ConnectionService::NewStub(channel)->WatchConnections(context, v1::WatchConnectionsRequest());
      });
}

TEST_F(StreamShareTest, OfEvents) {
  EachHasHisShare<v1::Event>(EventLog::kMaxWatches, kMaxRareStreamsPerCaller,
                             [](const auto& channel, grpc::ClientContext* context) {
                               return v1::AdminService::NewStub(channel)->WatchEvents(context, v1::WatchRequest());
                             });
}

TEST_F(StreamShareTest, OfCaptures) {
  EachHasHisShare<v1::CaptureChunk>(
      Captures::kMaxCaptures, kMaxCapturesPerCaller, [](const auto& channel, grpc::ClientContext* context) {
        return v1::ConnectionService::NewStub(channel)->Capture(context, v1::CaptureRequest());
      });
}

// What one does not read stays open, in pieces that no window has room for.
TEST_F(StreamShareTest, OfDumpsOfTheConfiguration) {
  for (int i = 0; i < 20; ++i) {
    v1::CreateVmRequest request;
    request.set_vm_id(absl::StrCat("vm", i));
    (*request.mutable_vm()->mutable_annotations())["note"] = std::string(16'000, 'x');
    ASSERT_TRUE(daemon_->Create(request).ok());
  }
  EachHasHisShare<v1::ConfigDump>(
      DumpCall::kMaxDumps, kMaxDumpsPerCaller, [](const auto& channel, grpc::ClientContext* context) {
        return v1::AdminService::NewStub(channel)->DumpConfig(context, v1::DumpConfigRequest());
      });
}

// A kind that one has used up leaves him the others.
TEST_F(StreamShareTest, WhoWatchesConnectionsMayWatchStatisticsToo) {
  const auto channel = ChannelOf(kFirst);
  const auto watch = [](const auto& on, grpc::ClientContext* context) {
    return v1::ConnectionService::NewStub(on)->WatchConnections(context, v1::WatchConnectionsRequest());
  };
  std::vector<std::unique_ptr<OpenStream<v1::WatchConnectionsResponse>>> open;
  for (size_t i = 0; i < kMaxRareStreamsPerCaller; ++i) {
    open.push_back(std::make_unique<OpenStream<v1::WatchConnectionsResponse>>(channel, watch));
  }
  const OpenStream<v1::Event> events(channel, [](const auto& on, grpc::ClientContext* context) {
    return v1::AdminService::NewStub(on)->WatchEvents(context, v1::WatchRequest());
  });
  EXPECT_TRUE(events.ended().ok()) << events.ended().error_message();
}

}  // namespace
}  // namespace kinsock
