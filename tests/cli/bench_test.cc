// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl bench against programs in a simulated guest: the program in a process of its own, a daemon in this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/schema/bench_report.pb.h"
#include "google/protobuf/util/json_util.h"
#include "tests/cli/running_ctl.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::RunningCtl;
using testing::SimulatedGuest;
using testing::Stream;

// A program in the guest that accepts on a port and serves each connection.
class Server {
 public:
  using Serve = std::function<void(Stream& stream, size_t& served)>;

  Server(SimulatedGuest& guest, uint32_t port, Serve serve) : guest_(guest), port_(port), serve_(std::move(serve)) {
    guest.Listen(port);
  }

  void Turn() {
    while (std::optional<Stream> stream = guest_.TryAccept(port_)) connections_.push_back({*stream, 0});
    for (Connection& connection : connections_) serve_(connection.stream, connection.served);
    std::erase_if(connections_, [](const Connection& connection) { return connection.stream.closed(); });
  }

 private:
  struct Connection {
    Stream stream;
    size_t served;
  };
  SimulatedGuest& guest_;
  const uint32_t port_;
  const Serve serve_;
  std::vector<Connection> connections_;
};

// Ends what the other side has ended.
void CloseAtEnd(Stream& stream) {
  if (stream.at_eof() && stream.all_sent()) stream.Close();
}

void Echo(Stream& stream, size_t& served) {
  const std::string& all = stream.Received();
  if (all.size() > served) stream.Send(std::string_view(all).substr(served));
  served = all.size();
  CloseAtEnd(stream);
}

void Discard(Stream& stream, size_t&) { CloseAtEnd(stream); }

void Flood(Stream& stream, size_t& served) {
  if (served == 0) stream.SendPattern(1, uint64_t{1} << 40);
  served = 1;
  if (stream.at_eof()) stream.Reset();
}

class BenchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::CreateVmRequest request;
    request.set_vm_id("web");
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "web.uds");
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(request, &vm).ok());
    ASSERT_TRUE(guest_.PowerOn(vm.status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage_.RunUntil(
        [&] { return daemon_.Get("vms/web", &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; }));
  }

  std::unique_ptr<RunningCtl> Run(std::vector<std::string> arguments, Server* server = nullptr) {
    arguments.insert(arguments.begin(), {"bench", "web", "80"});
    const bool has_time = std::find(arguments.begin(), arguments.end(), "--time") != arguments.end();
    if (!has_time) arguments.insert(arguments.end(), {"--time", "200ms"});
    auto ctl = std::make_unique<RunningCtl>(stage_, "unix:" + daemon_.api_socket(), std::move(arguments));
    ctl->EndInput();
    stage_.RunUntil([&] {
      if (server != nullptr) server->Turn();
      return ctl->code().has_value() && ctl->output_ended();
    });
    return ctl;
  }

  static ctl::BenchReport ReportOf(const std::string& json) {
    ctl::BenchReport report;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &report).ok()) << json;
    return report;
  }

  testing::RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest guest_{stage_};
};

TEST_F(BenchTest, AgainstAnEcho) {
  Server echo(guest_, 80, Echo);
  const auto table = Run({"--connections", "3"}, &echo);
  EXPECT_EQ(table->code(), 0) << table->Complaint();
  EXPECT_THAT(table->printed(),
              AllOf(ContainsRegex("WHAT +PER-SECOND +P50 +P99 +MAX +COUNT +REFUSED\n"),
                    ContainsRegex("round trips of 64B +[0-9.K]+ +[0-9.]+us +[0-9.]+us +[0-9.]+us +[0-9]+ +0\n"),
                    ContainsRegex("connections +[0-9.K]+ "), ContainsRegex("bytes there and back +[0-9.KMG]+B +- ")));
  EXPECT_THAT(table->Complaint(), HasSubstr("the program that serves the port are all in it"));

  const auto json = Run({"-o", "json", "--size", "1000"}, &echo);
  EXPECT_EQ(json->code(), 0) << json->Complaint();
  const ctl::BenchReport report = ReportOf(json->printed());
  EXPECT_EQ(report.vm(), "vms/web");
  EXPECT_EQ(report.port(), 80u);
  EXPECT_EQ(report.message_bytes(), 1000u);
  const ctl::BenchReport::Times& trips = report.round_trips();
  EXPECT_GT(trips.count(), 0u);
  EXPECT_NEAR(trips.per_second(), trips.count() / trips.seconds(), 1);
  EXPECT_LE(trips.p50_us(), trips.p99_us());
  EXPECT_LE(trips.p99_us(), trips.max_us());
  EXPECT_GT(report.connects().count(), 0u);
  EXPECT_GT(report.echoed().bytes(), 0u);
  EXPECT_FALSE(report.has_to_guest() || report.has_from_guest());
  EXPECT_THAT(json->printed(), HasSubstr("\"refused\": 0")) << "what is zero is there, too";
}

TEST_F(BenchTest, BytesInOneDirection) {
  Server discard(guest_, 80, Discard);
  const auto to = Run({"--against", "discard", "-o", "json"}, &discard);
  EXPECT_EQ(to->code(), 0) << to->Complaint();
  EXPECT_GT(ReportOf(to->printed()).to_guest().bytes(), 0u);
  EXPECT_FALSE(ReportOf(to->printed()).has_round_trips());
}

TEST_F(BenchTest, BytesFromAGuestThatNeverEnds) {
  Server source(guest_, 80, Flood);
  const auto from = Run({"--against", "source", "-o", "json"}, &source);
  EXPECT_EQ(from->code(), 0) << from->Complaint();
  EXPECT_GT(ReportOf(from->printed()).from_guest().bytes(), 0u);
}

TEST_F(BenchTest, WithoutAServerItSaysWhatToStart) {
  const auto nobody = Run({});
  EXPECT_EQ(nobody->code(), 4);
  EXPECT_THAT(nobody->Complaint(), AllOf(HasSubstr("web:80 refused the connection"),
                                         HasSubstr("  in the guest: socat VSOCK-LISTEN:80,fork,backlog=64 PIPE\n")));
  EXPECT_EQ(nobody->printed(), "");
}

TEST_F(BenchTest, AServerOfAnotherKindIsFoundOut) {
  Server discard(guest_, 80, Discard);
  const auto silent = Run({}, &discard);
  EXPECT_EQ(silent->code(), 1);
  EXPECT_THAT(silent->Complaint(), HasSubstr("round trips of 64B: nothing came back; what serves the port is no echo"));
}

TEST_F(BenchTest, AServerThatSendsUnaskedIsFoundOut) {
  Server source(guest_, 80, Flood);
  const auto other = Run({}, &source);
  EXPECT_EQ(other->code(), 1);
  EXPECT_THAT(other->Complaint(), HasSubstr("something else came back than was sent"));
}

TEST_F(BenchTest, WhatMakesNoSenseIsNotBegun) {
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{{"--time", "1ms"},
                                                                                     {"--time", "1h"},
                                                                                     {"--time", "soon"},
                                                                                     {"--size", "0"},
                                                                                     {"--size", "65537"},
                                                                                     {"--connections", "0"},
                                                                                     {"--connections", "257"},
                                                                                     {"--against", "luck"}}) {
    EXPECT_EQ(Run(flags)->code(), 2) << flags[0] << flags[1];
  }
}

}  // namespace
}  // namespace kinsock
