// SPDX-License-Identifier: Apache-2.0
//
// Captures as a client of the API meets them: all of the daemon over gRPC, simulated guests that talk, and tshark that
// reads what comes out. What is wrong with a request is in bad_input_test.
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <linux/virtio_vsock.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/session.h"
#include "capture/writer.h"
#include "server/rpc/api_limits.h"
#include "tests/capture/capture_contents.h"
#include "tests/capture/tshark.h"
#include "tests/server/running_daemon.h"
#include "tests/server/talking_guests.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/other_user.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/web/http_client.h"

namespace kinsock {
namespace {

using testing::CaptureContents;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::Reason;
using testing::RunningDaemon;
using testing::SimulatedGuest;
using ::testing::SizeIs;
using testing::Stage;
using testing::Stream;
using testing::TalkingGuests;
using testing::Tshark;

v1::CaptureRequest Request(const std::string& filter = "",
                           v1::CaptureRequest::Format format = v1::CaptureRequest::PCAPNG) {
  v1::CaptureRequest request;
  request.set_filter(filter);
  request.set_format(format);
  return request;
}

// A client that captures. It has begun when it is made.
class Capture {
 public:
  Capture(v1::ConnectionService::Stub& stub, const v1::CaptureRequest& request) {
    testing::SetDeadline(context_);
    stream_ = stub.Capture(&context_, request);
    began_ = Read();
  }
  ~Capture() {
    if (!finished_) Leave();
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  bool began() const { return began_; }
  // The next piece. False: there is none.
  bool Read() {
    if (!stream_->Read(&last_)) return false;
    file_ += last_.data();
    return true;
  }
  void ReadPackets(uint64_t packets) {
    while (last_.packets() < packets && Read()) continue;
    EXPECT_GE(last_.packets(), packets);
  }
  // Reads to the end.
  grpc::Status End() {
    while (Read()) continue;
    finished_ = true;
    return stream_->Finish();
  }
  void Leave() {
    context_.TryCancel();
    EXPECT_EQ(End().error_code(), grpc::StatusCode::CANCELLED);
  }

  const std::string& file() const { return file_; }
  // What it has of whole packets, which is all.
  CaptureContents Contents() const {
    CaptureContents contents = testing::ReadCapture(file_);
    EXPECT_EQ(contents.fault, "");
    EXPECT_THAT(contents.packets, SizeIs(last_.packets()));
    return contents;
  }
  const v1::CaptureChunk& last() const { return last_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::CaptureChunk>> stream_;
  v1::CaptureChunk last_;
  std::string file_;
  bool began_ = false;
  bool finished_ = false;
};

class CaptureTest : public ::testing::Test {
 protected:
  void Start(bool payload = false, bool http = false) {
    Config config;
    config.reactors = 2;
    config.capture_payload = payload;
    daemon_ = std::make_unique<RunningDaemon>(std::move(config), nullptr, http);
    ASSERT_TRUE(daemon_->started().ok()) << daemon_->started();
  }

  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(*daemon_ / (id + ".uds"));
    v1::Vm vm;
    ASSERT_TRUE(daemon_->Create(request, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_->Get("vms/" + id, &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; });
    guest.Listen(5000);
  }
  void BootBoth() {
    Boot("asker", 3, asker_);
    Boot("teller", 4, teller_);
  }

  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)) << stage_.Describe(); }

  // "question" from the asker to the teller, "answer" back, and both close.
  void Talk() {
    Stream question = asker_.Connect(4, 5000);
    Stream answer = teller_.Accept(5000);
    question.Send("question");
    Run([&] { return answer.Received() == "question"; });
    answer.Send("answer");
    answer.Close();
    Run([&] { return question.Received() == "answer" && question.closed(); });
  }

  Stage stage_;
  SimulatedGuest asker_{stage_}, teller_{stage_};
  std::unique_ptr<RunningDaemon> daemon_;
};

const std::string kRequest = "3:4:5000 op 1";
const std::string kPayload = "3:4:5000 op 5";

TEST_F(CaptureTest, TsharkReadsBothFormatsWhileGuestsTalk) {
  Start();
  BootBoth();
  for (const auto format : {v1::CaptureRequest::PCAP, v1::CaptureRequest::PCAPNG}) {
    Capture capture(daemon_->connections(), Request("", format));
    ASSERT_TRUE(capture.began());
    Talk();
    capture.ReadPackets(10);
    capture.Leave();
    const std::vector<std::string> lines = capture.Contents().Lines();
    // Once as it is sent, and once as it is given.
    EXPECT_THAT(lines, Contains(kRequest).Times(2));
    EXPECT_THAT(lines, Contains(kPayload).Times(2));
    EXPECT_EQ(lines.front(), kRequest);
    const std::vector<std::string> seen =
        Tshark(capture.file(), {"vsock.src_cid", "vsock.dst_cid", "vsock.dst_port", "vsock.op", "vsock.virtio.op"},
               daemon_->directory());
    EXPECT_THAT(seen, SizeIs(lines.size()));
    EXPECT_EQ(seen.front(), "3|4|5000|1|1");
    EXPECT_THAT(seen, Contains("3|4|5000|4|5").Times(2));
    EXPECT_THAT(seen, Contains(MatchesRegex("4\\|3\\|[0-9]+\\|1\\|2"))) << "the answer, to whichever port";
  }
}

TEST_F(CaptureTest, EachVmAndDirectionIsAnInterface) {
  Start();
  BootBoth();
  Capture capture(daemon_->connections(), Request("op=request"));
  Talk();
  capture.ReadPackets(2);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Interfaces(), ElementsAre("asker:from_guest", "teller:to_guest"));
}

TEST_F(CaptureTest, TheFilterIsThatOfTheDaemon) {
  Start();
  BootBoth();
  Capture capture(daemon_->connections(), Request("vm=teller direction=to_guest op=request,rw network=default"));
  ASSERT_TRUE(capture.began());
  Talk();
  capture.ReadPackets(2);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Lines(), ElementsAre(kRequest, kPayload));
}

TEST_F(CaptureTest, TheHostIsSeenFromItsGuest) {
  Start();
  BootBoth();
  Capture capture(daemon_->connections(), Request("cid=host op=request"));
  testing::HybridClient program(stage_, *daemon_ / "asker.uds");
  program.Connect(5000);
  asker_.Accept(5000);
  Stream nobody = asker_.Connect(2, 77);
  Run([&] { return nobody.closed(); });
  capture.ReadPackets(2);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Interfaces(), ElementsAre("asker:to_guest", "asker:from_guest"));
  EXPECT_THAT(capture.Contents().Lines(), ElementsAre("2:3:5000 op 1", "3:2:77 op 1"));
}

TEST_F(CaptureTest, WhatIsRefusedWasSentAllTheSame) {
  Start();
  BootBoth();
  Capture capture(daemon_->connections(), Request("vm=asker"));
  auto spoofed = asker_.Packet(VIRTIO_VSOCK_OP_REQUEST, 1, 4, 5000);
  spoofed.src_cid = 99;
  asker_.SendRaw(spoofed);
  Stream refused = asker_.Connect(4, 81);
  Run([&] { return refused.closed(); });
  capture.ReadPackets(3);
  capture.Leave();
  const std::vector<std::string> lines = capture.Contents().Lines();
  EXPECT_THAT(lines, Contains("99:4:5000 op 1"));
  EXPECT_THAT(lines, Contains("3:4:81 op 1"));
}

TEST_F(CaptureTest, HeadersAloneUnlessPayloadIsAskedFor) {
  Start(true);
  BootBoth();
  Capture capture(daemon_->connections(), Request("op=rw src_cid=3"));
  Talk();
  capture.ReadPackets(2);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Payloads(), ElementsAre("", ""));
  EXPECT_EQ(capture.Contents().packets.front().length, CaptureWriter::kHeaderBytes + 8);
  EXPECT_THAT(capture.file(), Not(HasSubstr("question")));
}

TEST_F(CaptureTest, PayloadIsThatWhichIsDelivered) {
  Start(true);
  BootBoth();
  v1::CaptureRequest request = Request("op=rw", v1::CaptureRequest::PCAP);
  request.set_payload(true);
  Capture capture(daemon_->connections(), request);
  Talk();
  capture.ReadPackets(4);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Payloads(), ElementsAre("question", "question", "answer", "answer"));
  EXPECT_EQ(capture.last().cut(), 0u);
}

// What waits for a receiver has been captured, too, and arrives as it was.
TEST_F(CaptureTest, PayloadThatWaitsArrivesAsItWasSeen) {
  Start(true);
  BootBoth();
  v1::CaptureRequest request = Request("op=rw vm=asker direction=from_guest", v1::CaptureRequest::PCAP);
  request.set_payload(true);
  request.set_snap_length(CaptureWriter::kHeaderBytes + 1000);
  Capture capture(daemon_->connections(), request);
  Stream question = asker_.Connect(4, 5000);
  Stream answer = teller_.Accept(5000);
  constexpr uint64_t kBytes = 4u << 20;
  answer.ExpectPattern(1);
  teller_.StopPosting();
  question.SendPattern(1, kBytes);
  Run([&] { return question.sent_bytes() > 0; });
  capture.ReadPackets(1);
  teller_.ResumePosting();
  Run([&] { return answer.received_bytes() == kBytes; });
  EXPECT_EQ(answer.Verdict(kBytes), "exact");
}

TEST_F(CaptureTest, BoundsOfTheRequestEndItWell) {
  Start();
  BootBoth();
  v1::CaptureRequest request = Request();
  request.set_max_packets(3);
  Capture three(daemon_->connections(), request);
  request = Request("", v1::CaptureRequest::PCAP);
  request.set_max_bytes(24 + 2 * (16 + 76));
  Capture two(daemon_->connections(), request);
  Talk();
  EXPECT_TRUE(three.End().ok());
  EXPECT_THAT(three.Contents().packets, SizeIs(3));
  EXPECT_TRUE(two.End().ok());
  EXPECT_THAT(two.Contents().packets, SizeIs(2));
}

TEST_F(CaptureTest, OneThatWasRefusedOrHasEndedHasGivenItsPlaceBackWhenItsClientHearsOfIt) {
  Start();
  Capture stays(daemon_->connections(), Request());
  ASSERT_TRUE(stays.began());
  const v1::CaptureRequest wrong = Request("vm=nobody");
  v1::CaptureRequest brief = Request();
  brief.mutable_duration()->set_nanos(1'000'000);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Reason(Capture(daemon_->connections(), wrong).End()), "VM_NOT_FOUND");
    EXPECT_TRUE(Capture(daemon_->connections(), brief).End().ok());
  }
}

TEST_F(CaptureTest, ItsTimeEndsItWell) {
  Start();
  v1::CaptureRequest request = Request();
  request.mutable_duration()->set_nanos(200'000'000);
  Capture soon(daemon_->connections(), request);
  EXPECT_TRUE(soon.End().ok());
  soon.Contents();
}

TEST_F(CaptureTest, TheDaemonEndsItWhenItStops) {
  Start();
  Capture capture(daemon_->connections(), Request());
  ASSERT_TRUE(capture.began());
  daemon_->Stop();
  EXPECT_EQ(capture.End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(CaptureTest, AVmThatComesAndGoesIsSeenByItsName) {
  Start();
  BootBoth();
  Capture capture(daemon_->connections(), Request("op=request direction=from_guest"));
  {
    SimulatedGuest late(stage_);
    Boot("late", 5, late);
    Stream call = late.Connect(4, 5000);
    Run([&] { return call.established(); });
    late.Kill();
  }
  EXPECT_TRUE(daemon_->Delete("late", true).ok());
  capture.ReadPackets(1);
  capture.Leave();
  EXPECT_THAT(capture.Contents().Interfaces(), ElementsAre("late:from_guest"));
}

// --- Clients that do not mean well. ---

TEST_F(CaptureTest, AClientThatNeverReadsLosesPacketsAndNobodyElseDoes) {
  Start(true);
  v1::Vm asker, teller;
  ASSERT_TRUE(daemon_->Create("asker", 3, &asker).ok());
  ASSERT_TRUE(daemon_->Create("teller", 4, &teller).ok());
  v1::CaptureRequest request = Request();
  request.set_payload(true);
  Capture capture(daemon_->connections(), request);
  TalkingGuests guests(asker.status().vhost_user_socket(), teller.status().vhost_user_socket());
  // More than all that can wait for him: his lanes, a chunk, and what gRPC and the kernel have.
  const uint64_t enough = 4 * CaptureSession::kMaxBytes;
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (guests.received() < enough && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  guests.Finish();
  EXPECT_GE(guests.received(), enough);
  // Now he does, and hears what he has missed.
  while (capture.last().lost() == 0 && capture.Read()) continue;
  EXPECT_GT(capture.last().lost(), 0u);
  capture.Leave();
  capture.Contents();
}

// What several callers have is in stream_share_test.
TEST_F(CaptureTest, OneHasSoManyAndAPlaceIsFreeAgainWhenOneEnds) {
  Start();
  std::vector<std::unique_ptr<Capture>> captures;
  for (size_t i = 0; i < kMaxCapturesPerCaller; ++i) {
    captures.push_back(std::make_unique<Capture>(daemon_->connections(), Request()));
    EXPECT_TRUE(captures.back()->began());
  }
  {
    Capture one_more(daemon_->connections(), Request());
    EXPECT_FALSE(one_more.began());
    const grpc::Status refused = one_more.End();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(Reason(refused), "QUOTA_EXCEEDED");
    EXPECT_EQ(testing::Info(refused).metadata().at("value"), "2");
    EXPECT_THAT(refused.error_message(), HasSubstr("has 2 streams of ConnectionService.Capture open"));
  }
  captures.pop_back();
  // The daemon hears of it in its own time.
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  for (bool began = false; !began;) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    Capture again(daemon_->connections(), Request());
    began = again.began();
    if (!began) again.End();
  }
}

TEST_F(CaptureTest, PayloadIsForAdminsAndCapturesAreForOperators) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "only root can be others";
  Config config;
  for (const char* rule : {"viewer=user:61001", "operator=user:61002", "admin=user:61003"}) {
    ASSERT_EQ(config.api_roles.Add(rule), "");
  }
  config.capture_payload = true;
  umask(0007);
  daemon_ = std::make_unique<RunningDaemon>(std::move(config));
  ASSERT_TRUE(daemon_->started().ok());
  chmod(daemon_->directory().c_str(), 0755);
  const auto ask = [&](uid_t user, bool payload) {
    const auto channel =
        grpc::CreateInsecureChannelFromFd("api", testing::ConnectAs({user, user, {}}, daemon_->api_socket()).release());
    const auto stub = v1::ConnectionService::NewStub(channel);
    v1::CaptureRequest request = Request();
    request.set_payload(payload);
    Capture capture(*stub, request);
    if (capture.began()) return std::string("began");
    const grpc::Status status = capture.End();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    return absl::StrCat(Reason(status), " ", testing::Info(status).metadata().at("need"));
  };
  EXPECT_EQ(ask(61001, false), "ROLE_REQUIRED operator");
  EXPECT_EQ(ask(61001, true), "ROLE_REQUIRED operator");
  EXPECT_EQ(ask(61002, false), "began");
  EXPECT_EQ(ask(61002, true), "ROLE_REQUIRED admin");
  EXPECT_EQ(ask(61003, true), "began");
}

// --- What is told of it. ---

TEST_F(CaptureTest, ItsBeginAndItsEndAreAudited) {
  Start();
  BootBoth();
  {
    Capture capture(daemon_->connections(), Request("op=request"));
    Talk();
    capture.ReadPackets(2);
  }
  grpc::ClientContext context;
  testing::SetDeadline(context);
  const auto stream = daemon_->admin().WatchEvents(&context, v1::WatchRequest());
  std::vector<std::string> lines;
  v1::Event event;
  while (lines.size() < 2 && stream->Read(&event)) {
    const auto field = [&event](const char* name) {
      const auto found = event.fields().find(name);
      return found != event.fields().end() ? found->second : "-";
    };
    if (field("method") != "ConnectionService.Capture") continue;
    EXPECT_EQ(event.type(), v1::Event::AUDIT);
    EXPECT_EQ(event.object(), "captures/1");
    EXPECT_GT(event.actor().pid(), 0);
    lines.push_back(absl::StrCat(field("phase"), " ", field("filter"), " ", field("packets"), " ", field("lost")));
  }
  context.TryCancel();
  stream->Finish();
  EXPECT_THAT(lines, ElementsAre("start op=request - -", "end op=request 2 0"));
}

TEST_F(CaptureTest, MetricsCountCapturesAndWhatTheyLose) {
  Start(false, true);
  const testing::HttpClient http(daemon_->http_socket());
  const auto metrics = [&] { return http.Get("/metrics").body; };
  EXPECT_THAT(metrics(), HasSubstr("\nkinsock_capture_sessions 0\n"));
  Capture capture(daemon_->connections(), Request());
  ASSERT_TRUE(capture.began());
  // What was asked a moment ago is not asked again.
  std::string now;
  Run([&] { return (now = metrics()).find("\nkinsock_capture_sessions 1\n") != std::string::npos; });
  EXPECT_THAT(now, HasSubstr("\nkinsock_capture_dropped_packets_total 0\n"));
}

}  // namespace
}  // namespace kinsock
