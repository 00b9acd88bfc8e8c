// SPDX-License-Identifier: Apache-2.0
//
// Who talks to whom, and what changes, as a client of the API meets it: all of the daemon over gRPC, and simulated
// guests.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/rpc/api_limits.h"
#include "tests/server/running_daemon.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;
using testing::BadFields;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;
using testing::SimulatedGuest;
using ::testing::SizeIs;
using testing::Stream;

class PairStatsTest : public ::testing::Test {
 protected:
  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest, const std::string& group = "default") {
    v1::CreateVmRequest request;
    request.mutable_vm()->mutable_spec()->add_groups(group);
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / (id + ".uds"));
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(request, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_.Get("vms/" + id, &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; });
    guest.Listen(80);
  }

  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)); }

  // `bytes` from a program in `from` to one in `to`.
  Stream Send(SimulatedGuest& from, SimulatedGuest& to, uint64_t bytes) {
    const Stream call = from.Connect(to.cid(), 80);
    Stream answer = to.Accept(80);
    Stream(call).SendPattern(1, bytes);
    Run([&] { return answer.received_bytes() == bytes; });
    return call;
  }

  grpc::Status GetStats(const v1::GetStatsRequest& request, v1::StatsReport* report) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    return daemon_.connections().GetStats(&context, request, report);
  }

  v1::StatsReport Pairs(const std::string& vm = "", int top = 0) {
    v1::GetStatsRequest request;
    request.set_scope(v1::GetStatsRequest::PAIR);
    request.set_vm(vm);
    request.set_top(top);
    v1::StatsReport report;
    const grpc::Status status = GetStats(request, &report);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return report;
  }

  RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_}, c_{stage_};
};

TEST_F(PairStatsTest, OpenAndEndedConnectionsAreSummedByWhoCalledWhom) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Boot("c", 5, c_);
  Stream ended = Send(a_, b_, 1000);
  Send(a_, b_, 20'000);
  Send(b_, c_, 300);
  Stream refused = a_.Connect(4, 81);
  Run([&] { return refused.closed(); });
  const auto of_pair = [&](const v1::StatsReport& report) {
    return report.pairs_size() > 0 ? report.pairs(0) : v1::PairStats();
  };
  EXPECT_EQ(of_pair(Pairs()).open_connections(), 2u);
  ended.Close();
  Run([&] { return of_pair(Pairs()).open_connections() == 1; });

  const v1::StatsReport report = Pairs();
  EXPECT_EQ(report.instance_id(), daemon_.Info().instance_id());
  EXPECT_FALSE(report.has_stats());
  EXPECT_FALSE(report.has_interval());
  EXPECT_EQ(report.pair_count(), 2u);
  ASSERT_THAT(report.pairs(), SizeIs(2));
  const v1::PairStats& most = report.pairs(0);
  EXPECT_EQ(most.initiator().vm(), "vms/a");
  EXPECT_EQ(most.target().vm(), "vms/b");
  EXPECT_FALSE(most.target().host());
  EXPECT_EQ(most.connects_accepted(), 2u);
  EXPECT_EQ(most.connects_refused(), 1u);
  EXPECT_EQ(most.to_target().bytes(), 21'000u);
  EXPECT_EQ(most.to_initiator().bytes(), 0u);
  EXPECT_EQ(report.pairs(1).to_target().bytes(), 300u);
  EXPECT_EQ(report.other().connects_accepted(), 0u);

  EXPECT_THAT(Pairs("", 1).pairs(), SizeIs(1));
  EXPECT_EQ(Pairs("", 1).pair_count(), 2u);
  EXPECT_THAT(Pairs("vms/c").pairs(), SizeIs(1));
}

TEST_F(PairStatsTest, APairThatWasOnlyEverDeniedIsListedWithAllItsDenials) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Boot("c", 5, c_, "strangers");
  constexpr int kTimes = 200;
  const int64_t begin = TimeUtil::TimestampToSeconds(TimeUtil::GetCurrentTime());
  for (int i = 0; i < kTimes; ++i) {
    const Stream denied = a_.Connect(5, 22);
    Run([&] { return denied.closed(); });
  }
  const Stream refused = a_.Connect(4, 81);  // nobody listens, which is no denial
  Run([&] { return refused.closed(); });
  Send(a_, b_, 1000);

  v1::GetStatsRequest request;
  request.set_scope(v1::GetStatsRequest::PAIR);
  request.set_top(1);
  v1::StatsReport report;
  ASSERT_TRUE(GetStats(request, &report).ok());
  ASSERT_THAT(report.pairs(), SizeIs(1)) << "it carried nothing";
  EXPECT_EQ(report.pairs(0).connects_refused(), 1u);
  EXPECT_EQ(report.pairs(0).connects_denied(), 0u);
  EXPECT_FALSE(report.pairs(0).has_last_denial());

  request.set_with_denied(true);
  ASSERT_TRUE(GetStats(request, &report).ok());
  ASSERT_THAT(report.pairs(), SizeIs(2));
  const v1::PairStats& denied = report.pairs(1);
  EXPECT_EQ(denied.target().vm(), "vms/c");
  EXPECT_EQ(denied.connects_denied(), kTimes);
  EXPECT_EQ(denied.connects_refused(), kTimes);
  EXPECT_EQ(denied.last_denial().port(), 22u);
  EXPECT_EQ(denied.last_denial().reason(), "POLICY_DENIED");
  EXPECT_GE(denied.last_denial().time().seconds(), begin);

  request.set_scope(v1::GetStatsRequest::DAEMON);
  request.set_top(0);
  const grpc::Status status = GetStats(request, &report);
  EXPECT_EQ(BadFields(status).field_violations(0).field(), "with_denied");
}

TEST_F(PairStatsTest, TheHostIsAnEndOfItsOwn) {
  Boot("a", 3, a_);
  testing::HybridClient program(stage_, daemon_ / "a.uds");
  program.Connect(80);
  Stream answer = a_.Accept(80);
  program.SendPattern(1, 500);
  Run([&] { return answer.received_bytes() == 500; });
  Stream nobody = a_.Connect(99, 80);
  Run([&] { return nobody.closed(); });
  v1::StatsReport report;
  Run([&] { return (report = Pairs()).pairs_size() == 1 && report.other().connects_refused() == 1; });
  EXPECT_EQ(report.pairs(0).initiator().vm(), "vms/a");
  EXPECT_TRUE(report.pairs(0).initiator().host());
  EXPECT_FALSE(report.pairs(0).target().host());
  EXPECT_EQ(report.pairs(0).to_target().bytes(), 500u);
}

TEST_F(PairStatsTest, AQuestionThatMakesNoSenseNamesAllThatIsWrong) {
  v1::GetStatsRequest request;
  request.set_top(-1);
  request.set_vm("vms/a");
  v1::StatsReport report;
  grpc::Status status = GetStats(request, &report);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  EXPECT_THAT(BadFields(status).field_violations(), SizeIs(2));
  request.set_scope(v1::GetStatsRequest::PAIR);
  request.set_top(0);
  EXPECT_EQ(Reason(GetStats(request, &report)), "VM_NOT_FOUND");
}

// One StreamStats call.
class Streaming {
 public:
  Streaming(RunningDaemon& daemon, const v1::StreamStatsRequest& request) {
    testing::SetDeadline(context_);
    stream_ = daemon.connections().StreamStats(&context_, request);
  }
  ~Streaming() {
    context_.TryCancel();
    if (!over_) stream_->Finish();
  }
  bool TryNext(v1::StatsReport* report) { return stream_->Read(report); }
  v1::StatsReport Next() {
    v1::StatsReport report;
    EXPECT_TRUE(TryNext(&report));
    return report;
  }
  grpc::Status Finish() {
    over_ = true;
    v1::StatsReport report;
    while (stream_->Read(&report)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::StatsReport>> stream_;
  bool over_ = false;
};

v1::StreamStatsRequest Every100Ms(v1::GetStatsRequest::Scope scope) {
  v1::StreamStatsRequest request;
  request.set_scope(scope);
  *request.mutable_interval() = TimeUtil::MillisecondsToDuration(100);
  return request;
}

TEST_F(PairStatsTest, AStreamTellsAllAndThenWhatChanges) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  v1::StreamStatsRequest request = Every100Ms(v1::GetStatsRequest::VM);
  request.set_vm("vms/a");
  Streaming stream(daemon_, request);
  const v1::StatsReport first = stream.Next();
  EXPECT_FALSE(first.has_interval());
  EXPECT_EQ(first.stats().from_guest().sibling_bytes(), 1000u);
  const v1::StatsReport quiet = stream.Next();
  EXPECT_GE(TimeUtil::DurationToMilliseconds(quiet.interval()), 90);
  EXPECT_EQ(quiet.stats().from_guest().sibling_bytes(), 0u);
  Send(a_, b_, 70'000);
  uint64_t bytes = 0;
  while (bytes < 70'000) bytes += stream.Next().stats().from_guest().sibling_bytes();
  EXPECT_EQ(bytes, 70'000u);
}

TEST_F(PairStatsTest, AStreamOfPairsHasThoseThatDoSomething) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  Streaming stream(daemon_, Every100Ms(v1::GetStatsRequest::PAIR));
  EXPECT_THAT(stream.Next().pairs(), SizeIs(1));
  EXPECT_THAT(stream.Next().pairs(), IsEmpty());
  Send(b_, a_, 5000);
  v1::StatsReport report;
  while (report.pairs().empty()) report = stream.Next();
  EXPECT_EQ(report.pairs(0).initiator().vm(), "vms/b");
}

TEST_F(PairStatsTest, AStreamEndsWithItsVmAndWithTheDaemon) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::StreamStatsRequest request = Every100Ms(v1::GetStatsRequest::VM);
  request.set_vm("vms/a");
  Streaming of_vm(daemon_, request), of_daemon(daemon_, Every100Ms(v1::GetStatsRequest::DAEMON));
  of_vm.Next();
  of_daemon.Next();
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_EQ(Reason(of_vm.Finish()), "VM_NOT_FOUND");
  daemon_.Stop();
  EXPECT_EQ(Reason(of_daemon.Finish()), "SHUTTING_DOWN");
}

TEST_F(PairStatsTest, StreamsHaveTheirBounds) {
  for (const int64_t milliseconds : {0, 99, 3'600'001, -1000}) {
    v1::StreamStatsRequest request;
    *request.mutable_interval() = TimeUtil::MillisecondsToDuration(milliseconds);
    const grpc::Status status = Streaming(daemon_, request).Finish();
    EXPECT_EQ(BadFields(status).field_violations(0).field(), "interval") << milliseconds;
  }
  std::vector<std::unique_ptr<Streaming>> streams;
  v1::StreamStatsRequest slow;
  *slow.mutable_interval() = TimeUtil::SecondsToDuration(3600);
  for (size_t i = 0; i < kMaxRareStreamsPerCaller; ++i) {
    streams.push_back(std::make_unique<Streaming>(daemon_, slow));
    streams.back()->Next();
  }
  EXPECT_EQ(Reason(Streaming(daemon_, slow).Finish()), "QUOTA_EXCEEDED");
  streams.clear();
  // What was given up is free again, as soon as the daemon has heard of it.
  EXPECT_TRUE(stage_.RunUntil([&] {
    v1::StatsReport report;
    return Streaming(daemon_, slow).TryNext(&report);
  }));
}

}  // namespace
}  // namespace kinsock
