// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl tunnel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "tests/cli/guest_commands_fixture.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::Exists;
using testing::GuestCommandsTest;
using ::testing::HasSubstr;
using testing::HybridClient;
using testing::IsListenedOn;
using testing::SimulatedGuest;
using ::testing::StartsWith;
using testing::Stream;

class TunnelCommandTest : public GuestCommandsTest {};

TEST_F(TunnelCommandTest, ATunnelNeedsNoSocketOfTheVm) {
  ASSERT_TRUE(daemon_.Create("bare", 0, &vm_).ok());
  auto ctl = Run({"tunnel", "bare", "80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->Complaint(), AllOf(HasSubstr("GUEST_REFUSED: bare:80 cannot be reached: no guest runs"),
                                      HasSubstr("  try: kinsockctl explain host bare:80\n")));
  guest_ = std::make_unique<SimulatedGuest>(stage_);
  ASSERT_TRUE(guest_->PowerOn(vm_.status().vhost_user_socket()).ok());
  ASSERT_TRUE(stage_.RunUntil([&] {
    v1::Vm now;
    return daemon_.Get("vms/bare", &now).ok() && now.status().state() == v1::VmStatus::ACTIVE;
  }));
  guest_->Listen(80);
  const auto asker = Start({"tunnel", "bare", "80"});
  const std::string question(3u << 20, 'q');
  asker->Type("who is there?");
  asker->EndInput();
  Stream teller = guest_->Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return teller.at_eof(); })) << stage_.Describe();
  EXPECT_EQ(teller.Received(), "who is there?");
  teller.Send(question);
  teller.Close();
  EXPECT_EQ(End(*asker), 0) << asker->Complaint();
  EXPECT_EQ(asker->printed(), question);

  // A connection that breaks off is none that ended.
  const auto broken = Start({"tunnel", "bare", "80"});
  Stream abrupt = guest_->Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return abrupt.established(); }));
  abrupt.Reset();
  EXPECT_EQ(End(*broken), 1);
  EXPECT_THAT(broken->Complaint(), HasSubstr("TUNNEL_RESET: the connection to bare:80 was broken off: GUEST_RST"));

  // One that is not done in time is told as that, whatever there was.
  const auto slow = Start({"tunnel", "bare", "80", "--timeout", "1s"});
  Stream silent = guest_->Accept(80);
  EXPECT_EQ(End(*slow), 124);

  EXPECT_EQ(Run({"tunnel", "nope", "80"})->code(), 3);
  EXPECT_EQ(Run({"tunnel", "bare", "4294967295"})->code(), 2);
  ASSERT_EQ(Run({"policy", "create", "closed", "--deny", "--from", "host"})->code(), 0);
  ctl = Run({"tunnel", "bare", "80"});
  EXPECT_EQ(ctl->code(), 5);
  EXPECT_THAT(
      ctl->Complaint(),
      HasSubstr(
          "POLICY_DENIED: the host may not connect to bare:80, by the policy \"networks/default/policies/closed\""));
}

TEST_F(TunnelCommandTest, ATunnelThatItsDaemonEndsIsOneThatBroke) {
  Boot();
  guest_->Listen(80);
  const auto tunnel = Start({"tunnel", "web", "80"});
  Stream program = guest_->Accept(80);
  program.Send("half a");
  ASSERT_TRUE(stage_.RunUntil([&] { return tunnel->printed() == "half a"; })) << stage_.Describe();
  daemon_.Stop();
  EXPECT_EQ(End(*tunnel), 1) << "not as if there had been no daemon";
  EXPECT_THAT(tunnel->Complaint(), HasSubstr("SHUTTING_DOWN"));
}

TEST_F(TunnelCommandTest, ATunnelThatListensDoesNotEndLaterForAProgramThatDoesNotRead) {
  Boot();
  guest_->Listen(80);
  const std::string path = daemon_ / "tunnel.sock";
  const auto tunnel = Start({"tunnel", "web", "80", "--listen", "unix:" + path});
  ASSERT_TRUE(stage_.RunUntil([&] { return IsListenedOn(path); })) << stage_.Describe();
  const UniqueFd lazy = testing::ConnectTo(path);
  Stream talker = guest_->Accept(80);
  // The socket of the program, of some 200 KiB, is the first that is full.
  talker.Send(std::string(48u << 20, 't'));
  ASSERT_TRUE(stage_.RunUntil([&] { return talker.sent_bytes() > (640u << 10); })) << stage_.Describe();
  tunnel->Signal(SIGTERM);
  EXPECT_EQ(End(*tunnel), 0) << tunnel->Complaint();
  ASSERT_TRUE(stage_.RunUntil([&] { return talker.closed(); })) << stage_.Describe();
  EXPECT_TRUE(talker.was_reset());
}

TEST_F(TunnelCommandTest, ProgramsOfThisMachineComeThroughATunnelThatListens) {
  Boot();
  guest_->Listen(80);
  const std::string path = daemon_ / "tunnel.sock";
  const auto tunnel = Start({"tunnel", "web", "80", "--listen", "unix:" + path});
  ASSERT_TRUE(stage_.RunUntil([&] { return IsListenedOn(path); })) << stage_.Describe();
  struct stat now;
  ASSERT_EQ(stat(path.c_str(), &now), 0);
  EXPECT_EQ(now.st_mode & 0777, 0700u) << "its owner's alone";
  HybridClient first(stage_, path), second(stage_, path);
  first.Send("one");
  Stream one = guest_->Accept(80);
  Stream two = guest_->Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return one.Received() + two.Received() == "one"; })) << stage_.Describe();
  Stream& heard = one.Received() == "one" ? one : two;
  heard.Send("heard");
  heard.ShutdownSend();
  ASSERT_TRUE(stage_.RunUntil([&] { return first.at_eof(); })) << stage_.Describe();
  EXPECT_EQ(first.Received(), "heard");

  const auto taken = Run({"tunnel", "web", "80", "--listen", "unix:" + path});
  EXPECT_EQ(taken->code(), 4);
  EXPECT_THAT(taken->Complaint(), HasSubstr("Address already in use"));
  EXPECT_EQ(Run({"tunnel", "web", "80", "--listen", "tcp:0.0.0.0:80"})->code(), 2);
  EXPECT_EQ(Run({"tunnel", "nope", "80", "--listen", "tcp:127.0.0.1:1"})->code(), 3);

  tunnel->Signal(SIGTERM);
  EXPECT_EQ(End(*tunnel), 0) << tunnel->Complaint();
  EXPECT_FALSE(Exists(path));
  ASSERT_TRUE(stage_.RunUntil([&] { return one.closed() && two.closed(); })) << stage_.Describe();
  EXPECT_TRUE(one.was_reset() && two.was_reset());
}

}  // namespace
}  // namespace kinsock
