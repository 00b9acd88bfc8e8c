// SPDX-License-Identifier: Apache-2.0
//
// Tunnels: all of the daemon over gRPC, a client that knows nothing but the API, and a simulated guest at the other
// end. What is wrong with a first frame is in bad_input_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/rpc/api_limits.h"
#include "server/service/tunnel_stream.h"
#include "tests/server/network_fixture.h"
#include "tests/server/tunnel_client.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Info;
using testing::Reason;
using testing::Stream;
using testing::TunnelClient;

constexpr uint32_t kPort = 80;
// Beyond what sockets, windows and gRPC hold for who does not read.
constexpr size_t kMuch = 48u << 20;
constexpr size_t kMostHeld = 16u << 20;
// Part of what a guest may have under way, its window.
constexpr uint64_t kQueued = 64u << 10;

// Bytes of which each has its place.
std::string Bytes(size_t count, uint32_t seed) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

class TunnelTest : public testing::NetworkFixture {
 protected:
  TunnelTest() { EXPECT_TRUE(daemon_.Create("web", 42).ok()); }

  void Start() {
    PowerOn("web", a_);
    a_.Listen(kPort);
  }
  std::unique_ptr<TunnelClient> Dial(uint32_t port = kPort, bool reads = true) {
    return std::make_unique<TunnelClient>(daemon_.connections(), "web", port, reads);
  }
  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)) << stage_.Describe(); }
  // The end of a call, for which the guest may have to do something.
  grpc::Status EndOf(TunnelClient& client) {
    EXPECT_TRUE(stage_.RunUntil([&] { return client.over(); })) << stage_.Describe();
    return client.End();
  }
  void ExpectNoTunnels() {
    EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Info().counts().tunnels() == 0; }));
    EXPECT_TRUE(stage_.RunUntil([&] { return Open().connections_size() == 0; }));
  }
  // Bytes of the only connection that wait in the daemon for its client.
  uint64_t Queued() {
    const v1::ListConnectionsResponse open = Open();
    return open.connections_size() == 1 ? open.connections(0).to_initiator().queued_bytes() : 0;
  }
  v1::ListConnectionsResponse Open() {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListConnectionsResponse page;
    EXPECT_TRUE(daemon_.connections().ListConnections(&context, {}, &page).ok());
    return page;
  }
};

TEST_F(TunnelTest, CarriesEveryByteBothWaysAtOnce) {
  Start();
  const std::string question = Bytes(5u << 20, 1), answer = Bytes(5u << 20, 2);
  const auto client = Dial();
  Stream program = a_.Accept(kPort);
  client->SendAll(question);
  program.Send(answer);
  program.ShutdownSend();
  Run([&] { return program.at_eof() && client->half_closed(); });
  EXPECT_TRUE(program.Received() == question);
  EXPECT_TRUE(client->received() == answer);
  program.Close();
  const grpc::Status status = EndOf(*client);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(client->reset().has_value());
  EXPECT_TRUE(a_.violations().list().empty());
  ExpectNoTunnels();
}

TEST_F(TunnelTest, EachSideHearsTheOtherAfterItsOwnEnd) {
  Start();
  const auto asker = Dial();
  Stream teller = a_.Accept(kPort);
  asker->Send("who is there?");
  asker->HalfClose();
  Run([&] { return teller.at_eof(); });
  EXPECT_EQ(teller.Received(), "who is there?");
  teller.Send("kin");
  teller.Close();
  EXPECT_TRUE(EndOf(*asker).ok());
  EXPECT_EQ(asker->received(), "kin");

  const auto listener = Dial();
  Stream speaker = a_.Accept(kPort);
  speaker.Send("listen");
  speaker.ShutdownSend();
  Run([&] { return listener->half_closed(); });
  EXPECT_EQ(listener->received(), "listen");
  EXPECT_FALSE(listener->over());
  listener->Send("heard");
  listener->HalfClose();
  Run([&] { return speaker.at_eof(); });
  EXPECT_EQ(speaker.Received(), "heard");
  speaker.Close();
  EXPECT_TRUE(EndOf(*listener).ok());
}

TEST_F(TunnelTest, IsAConnectionOfTheHostLikeOthers) {
  Start();
  const auto client = Dial();
  a_.Accept(kPort);
  Run([&] { return client->opened().has_value(); });
  const v1::ListConnectionsResponse open = Open();
  ASSERT_EQ(open.connections_size(), 1);
  const v1::Connection& connection = open.connections(0);
  EXPECT_EQ(connection.name(), client->opened()->connection());
  EXPECT_EQ(connection.initiator().cid(), 2u);
  EXPECT_EQ(connection.initiator().port(), client->opened()->host_port());
  EXPECT_EQ(connection.initiator().host_uid(), static_cast<int64_t>(getuid()));
  EXPECT_EQ(connection.initiator().host_pid(), getpid()) << "the client's, which is this process";
  EXPECT_EQ(connection.target().vm(), "vms/web");
  EXPECT_EQ(connection.target().port(), kPort);
  EXPECT_EQ(daemon_.Info().counts().tunnels(), 1u);

  // An administrator resets it by its name.
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::ResetConnectionRequest reset;
  reset.set_name(connection.name());
  v1::Connection was;
  ASSERT_TRUE(daemon_.connections().ResetConnection(&context, reset, &was).ok());
  EXPECT_EQ(Reason(EndOf(*client)), "TUNNEL_RESET");
  EXPECT_EQ(client->reset(), v1::Connection::ADMIN_RESET);
  ExpectNoTunnels();
}

TEST_F(TunnelTest, WhoIsRefusedHearsWhy) {
  const auto refused = [&](grpc::StatusCode code, const char* reason, const char* close_reason) {
    const auto client = Dial();
    const grpc::Status status = EndOf(*client);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_EQ(Reason(status), reason) << status.error_message();
    if (*close_reason != '\0') EXPECT_EQ(Info(status).metadata().at("close_reason"), close_reason);
    EXPECT_FALSE(client->opened().has_value());
    return status;
  };
  EXPECT_THAT(refused(grpc::StatusCode::FAILED_PRECONDITION, "GUEST_REFUSED", "PEER_GONE").error_message(),
              HasSubstr("no guest runs"));
  PowerOn("web", a_);
  EXPECT_THAT(refused(grpc::StatusCode::FAILED_PRECONDITION, "GUEST_REFUSED", "GUEST_RST").error_message(),
              HasSubstr("web:80 refused the connection"));
  a_.Listen(kPort);
  v1::CreatePolicyRequest deny = testing::Deny("closed");
  deny.mutable_policy()->mutable_from()->set_host(true);
  ASSERT_TRUE(CreatePolicy(deny).ok());
  const grpc::Status denied = refused(grpc::StatusCode::PERMISSION_DENIED, "POLICY_DENIED", "");
  EXPECT_EQ(Info(denied).metadata().at("policy"), "networks/default/policies/closed");
  v1::DeletePolicyRequest undeny;
  undeny.set_name("networks/default/policies/closed");
  v1::Policy was;
  ASSERT_TRUE(testing::Ask(daemon_, &Stub::DeletePolicy, undeny, &was).ok());
  // One that the policy finds while the guest has not answered.
  a_.set_frozen(true);
  const auto undecided = Dial();
  Run([&] { return Open().connections_size() == 1; });
  deny.mutable_policy()->set_reset_existing(true);
  ASSERT_TRUE(CreatePolicy(deny).ok());
  const grpc::Status revoked = EndOf(*undecided);
  EXPECT_EQ(Reason(revoked), "POLICY_DENIED") << revoked.error_message();
  EXPECT_EQ(Info(revoked).metadata().at("policy"), "networks/default/policies/closed");
  a_.set_frozen(false);
  ASSERT_TRUE(testing::Ask(daemon_, &Stub::DeletePolicy, undeny, &was).ok());
  v1::DrainVmRequest drain;
  drain.set_name("vms/web");
  ASSERT_TRUE(Drain(drain).ok());
  refused(grpc::StatusCode::FAILED_PRECONDITION, "GUEST_REFUSED", "DRAIN");
  ExpectNoTunnels();
}

TEST_F(TunnelTest, AClientThatReadsNothingHoldsUpItsGuestOnly) {
  Start();
  const auto lazy = Dial(kPort, false);
  Stream talker = a_.Accept(kPort);
  const std::string much = Bytes(kMuch, 6);
  talker.Send(much);
  // Others get through meanwhile, and more than once: by then the lazy one's way is full.
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Bytes(4u << 20, 3);
    const auto client = Dial();
    Stream program = a_.Accept(kPort);
    program.Send(answer);
    program.Close();
    EXPECT_TRUE(EndOf(*client).ok());
    EXPECT_TRUE(client->received() == answer);
  }
  EXPECT_FALSE(talker.all_sent());
  EXPECT_LT(talker.sent_bytes(), kMostHeld);
  // Nothing is lost by waiting.
  lazy->StartReading();
  talker.ShutdownSend();
  Run([&] { return lazy->half_closed(); });
  EXPECT_TRUE(lazy->received() == much);
}

TEST_F(TunnelTest, AGuestThatReadsNothingHoldsUpItsClientOnly) {
  Start();
  const std::string much = Bytes(kMuch, 5);
  const auto writer = Dial();
  Stream lazy = a_.Accept(kPort);
  lazy.PauseReading();
  writer->SendAll(much);
  for (int i = 0; i < 3; ++i) {
    const auto client = Dial();
    Stream program = a_.Accept(kPort);
    const std::string question = Bytes(4u << 20, 4);
    client->SendAll(question);
    Run([&] { return program.at_eof(); });
    EXPECT_TRUE(program.Received() == question);
    program.Close();
    EXPECT_TRUE(EndOf(*client).ok());
  }
  EXPECT_LT(writer->written(), kMostHeld);
  lazy.ResumeReading();
  Run([&] { return lazy.at_eof(); });
  EXPECT_TRUE(lazy.Received() == much);
}

TEST_F(TunnelTest, AClientThatGoesResetsItsGuest) {
  Start();
  const std::vector<std::pair<const char*, std::function<void(TunnelClient&)>>> ways{
      {"cancels", [](TunnelClient& client) { client.Cancel(); }},
      {"ends its side without half_close", [](TunnelClient& client) { client.WritesDone(); }},
      {"resets",
       [](TunnelClient& client) {
         TunnelClient::Frame frame;
         frame.mutable_reset();
         client.Write(frame);
       }},
  };
  for (const auto& [what, leave] : ways) {
    SCOPED_TRACE(what);
    const auto client = Dial();
    Stream program = a_.Accept(kPort);
    client->Send("half a");
    Run([&] { return program.Received() == "half a"; });
    leave(*client);
    EXPECT_EQ(EndOf(*client).error_code(), grpc::StatusCode::CANCELLED);
    Run([&] { return program.closed(); });
    EXPECT_TRUE(program.was_reset()) << "not as if that had been all";
    ExpectNoTunnels();
  }
  // One that is gone before the guest has answered.
  a_.set_frozen(true);
  const auto client = Dial();
  Run([&] { return Open().connections_size() == 1; });
  client->Cancel();
  EXPECT_EQ(client->End().error_code(), grpc::StatusCode::CANCELLED);
  a_.set_frozen(false);
  ExpectNoTunnels();
}

TEST_F(TunnelTest, AClientHearsWhatEndsItsConnection) {
  const std::vector<std::pair<v1::Connection::CloseReason, std::function<void(Stream&)>>> ends{
      {v1::Connection::GUEST_RST, [](Stream& program) { program.Reset(); }},
      {v1::Connection::TRANSPORT_RESET,
       [&](Stream&) {
         v1::ResetVmRequest reset;
         reset.set_name("vms/web");
         EXPECT_TRUE(Call(&v1::VmService::Stub::ResetVm, reset).ok());
       }},
      {v1::Connection::PEER_GONE, [&](Stream&) { EXPECT_TRUE(daemon_.Delete("web", true).ok()); }},
  };
  Start();
  for (const auto& [reason, end] : ends) {
    SCOPED_TRACE(v1::Connection::CloseReason_Name(reason));
    const auto client = Dial();
    Stream program = a_.Accept(kPort);
    program.Send("to be continued");
    Run([&] { return client->received() == "to be continued"; });
    end(program);
    const grpc::Status status = EndOf(*client);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
    EXPECT_EQ(Reason(status), "TUNNEL_RESET") << status.error_message();
    EXPECT_EQ(Info(status).metadata().at("close_reason"), v1::Connection::CloseReason_Name(reason));
    EXPECT_EQ(client->reset(), reason);
    EXPECT_FALSE(client->half_closed());
    ExpectNoTunnels();
  }
}

// Each has one frame, of which a guest with a small window takes a part: then all of it is in the socket.
TEST_F(TunnelTest, BytesThatTheGuestNeverTookAreNoEndInOrder) {
  testing::SimulatedGuest small(stage_, {.window = 4096});
  PowerOn("web", small);
  small.Listen(kPort);
  const std::vector<std::pair<const char*, std::function<void(TunnelClient&, Stream&)>>> ways{
      {"closes", [](TunnelClient&, Stream&) {}},
      {"has said all before it closes",
       [&](TunnelClient& client, Stream& program) {
         program.ShutdownSend();
         Run([&] { return client.half_closed(); });
       }},
      {"has, and so has its client",
       [&](TunnelClient& client, Stream& program) {
         client.HalfClose();
         program.ShutdownSend();
         Run([&] { return client.half_closed(); });
       }},
  };
  for (const auto& [what, before] : ways) {
    SCOPED_TRACE(what);
    const auto client = Dial();
    Stream program = small.Accept(kPort);
    program.PauseReading();
    client->Send(Bytes(8192, 7));
    Run([&] { return program.connection().unread() == 4096; });
    before(*client, program);
    program.Close();
    EXPECT_EQ(Reason(EndOf(*client)), "TUNNEL_RESET");
    EXPECT_EQ(client->reset(), v1::Connection::GUEST_RST);
  }
}

TEST_F(TunnelTest, BytesThatGoWithTheDeviceAreNoEndInOrder) {
  Start();
  const auto lazy = Dial(kPort, false);
  Stream program = a_.Accept(kPort);
  // What waits while another comes and goes waits for the client, and not for a thread.
  for (uint64_t queued = 0; queued < kQueued;) {
    while (Queued() < kQueued) {
      program.Send(Bytes(16u << 10, 8));
      Run([&] { return program.all_sent(); });
    }
    const auto other = Dial();
    Stream passing = a_.Accept(kPort);
    passing.Close();
    EXPECT_TRUE(EndOf(*other).ok());
    Run([&] { return Open().connections_size() == 1; });
    queued = Queued();
  }
  program.Close();
  Run([&] { return Open().connections_size() == 0; });
  EXPECT_EQ(daemon_.Info().counts().tunnels(), 1u) << "it lingers";
  ASSERT_TRUE(daemon_.Delete("web", true).ok());
  lazy->StartReading();
  EXPECT_EQ(Reason(EndOf(*lazy)), "TUNNEL_RESET");
  EXPECT_EQ(lazy->reset(), v1::Connection::PEER_GONE);
  EXPECT_LT(lazy->received_bytes(), program.sent_bytes());
}

TEST_F(TunnelTest, FramesOutOfPlaceEndTheCallAndResetTheGuest) {
  Start();
  using Frame = TunnelClient::Frame;
  struct Offence {
    std::string field;
    bool after_half_close;
    std::function<void(Frame&)> fill;
  };
  const std::vector<Offence> offences{
      {"open", false, [](Frame& frame) { frame.mutable_open()->set_vm("vms/web"); }},
      {"opened", false, [](Frame& frame) { frame.mutable_opened(); }},
      {"data", false, [](Frame& frame) { frame.set_data(""); }},
      {"data", false, [](Frame& frame) { frame.set_data(std::string(TunnelStream::kMaxFrameBytes + 1, 'x')); }},
      {"frame", false, [](Frame&) {}},
      {"data", true, [](Frame& frame) { frame.set_data("x"); }},
      {"half_close", true, [](Frame& frame) { frame.mutable_half_close(); }},
  };
  for (const Offence& offence : offences) {
    SCOPED_TRACE(offence.field);
    const auto client = Dial();
    Stream program = a_.Accept(kPort);
    Run([&] { return client->opened().has_value(); });
    if (offence.after_half_close) client->HalfClose();
    Frame frame;
    offence.fill(frame);
    client->Write(frame);
    const grpc::Status status = EndOf(*client);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(Reason(status), "FIELD_INVALID");
    EXPECT_THAT(Fields(status), ElementsAre(offence.field));
    Run([&] { return program.closed(); });
    EXPECT_TRUE(program.was_reset());
  }
  // The largest frame is none too large.
  const auto client = Dial();
  Stream program = a_.Accept(kPort);
  client->Send(std::string(TunnelStream::kMaxFrameBytes, 'x'));
  Run([&] { return program.received_bytes() == TunnelStream::kMaxFrameBytes; });
}

TEST_F(TunnelTest, OneCallerHasHisShare) {
  Start();
  std::vector<std::unique_ptr<TunnelClient>> tunnels;
  for (size_t i = 0; i < kMaxTunnelsPerCaller; ++i) {
    tunnels.push_back(Dial());
    Run([&] { return tunnels.back()->opened().has_value(); });
  }
  const auto one_more = Dial();
  const grpc::Status status = EndOf(*one_more);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "QUOTA_EXCEEDED");
  EXPECT_EQ(daemon_.Info().counts().tunnels(), kMaxTunnelsPerCaller);
  tunnels.clear();
  ExpectNoTunnels();
}

TEST_F(TunnelTest, ADaemonThatStopsSaysSo) {
  Start();
  const auto open = Dial();
  a_.Accept(kPort);
  Run([&] { return open->opened().has_value(); });
  const TunnelClient undecided(daemon_.connections());
  Run([&] { return daemon_.Info().counts().tunnels() == 2; });
  daemon_.Stop();
  EXPECT_EQ(Reason(EndOf(*open)), "SHUTTING_DOWN");
  EXPECT_TRUE(undecided.over() || stage_.RunUntil([&] { return undecided.over(); }));
}

}  // namespace
}  // namespace kinsock
