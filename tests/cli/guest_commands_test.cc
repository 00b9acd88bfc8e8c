// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl reaches guests, and guests reach it: the program in a process of its own, a daemon and simulated guests in
// this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/unique_fd.h"
#include "tests/cli/guest_commands_fixture.h"
#include "tests/cli/running_ctl.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::Exists;
using testing::GuestCommandsTest;
using ::testing::HasSubstr;
using testing::HybridClient;
using testing::IsListenedOn;
using testing::RunningCtl;
using testing::SimulatedGuest;
using ::testing::StartsWith;
using testing::Stream;

constexpr uint32_t kHostCid = 2;

TEST_F(GuestCommandsTest, StandardInputAndOutputAreAConnection) {
  Boot();
  guest_->Listen(80);
  const auto asker = Start({"connect", "web", "80"});
  asker->Type("who is there?");
  asker->EndInput();
  Stream teller = guest_->Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return teller.at_eof(); }));
  EXPECT_EQ(teller.Received(), "who is there?");
  teller.Send("kin");
  teller.Close();
  EXPECT_EQ(End(*asker), 0) << asker->Complaint();
  EXPECT_EQ(asker->printed(), "kin");
}

TEST_F(GuestCommandsTest, AGuestThatFinishesFirstStillHears) {
  Boot();
  guest_->Listen(80);
  const auto ctl = Start({"connect", "web", "80"});
  Stream teller = guest_->Accept(80);
  teller.Send("ready");
  teller.ShutdownSend();
  ASSERT_TRUE(stage_.RunUntil([&] { return ctl->output_ended(); })) << stage_.Describe();
  EXPECT_EQ(ctl->printed(), "ready");
  EXPECT_FALSE(ctl->code().has_value());
  ctl->Type("thanks");
  ctl->EndInput();
  ASSERT_TRUE(stage_.RunUntil([&] { return teller.at_eof(); })) << stage_.Describe();
  EXPECT_EQ(teller.Received(), "thanks");
  teller.Close();
  EXPECT_EQ(End(*ctl), 0);
}

TEST_F(GuestCommandsTest, AGuestThatIsGoneEndsItThoughNobodyTypes) {
  Boot();
  guest_->Listen(80);
  const auto ctl = Start({"connect", "web", "80"});
  Stream teller = guest_->Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return teller.established(); }));
  teller.Reset();
  // A UNIX socket knows no reset: to its program the guest has ended both ways.
  EXPECT_EQ(End(*ctl), 0) << stage_.Describe();
  EXPECT_EQ(ctl->printed(), "");
}

TEST_F(GuestCommandsTest, WhyAGuestCannotBeReachedIsSaidWithItsExitCode) {
  auto ctl = Run({"connect", "web", "80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->Complaint(), AllOf(HasSubstr("web:80 cannot be reached: no VMM is connected to its device"),
                                      HasSubstr("  try: kinsockctl vmm-args web\n")));
  Boot();
  ctl = Run({"connect", "web", "80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->Complaint(), HasSubstr("web:80 refused the connection: the guest said no: nobody listens there"));

  guest_->Listen(80);
  ASSERT_EQ(Run({"policy", "create", "closed", "--deny", "--from", "host"})->code(), 0);
  ctl = Run({"connect", "web", "80"});
  EXPECT_EQ(ctl->code(), 5);
  EXPECT_THAT(ctl->Complaint(), AllOf(HasSubstr("web:80 refused the connection: a policy"),
                                      HasSubstr("  try: kinsockctl policy test host web:80\n")));

  EXPECT_EQ(Run({"connect", "nope", "80"})->code(), 3);
  EXPECT_EQ(Run({"connect", "web", "4294967295"})->code(), 2);
  EXPECT_EQ(Run({"connect", "web", "x"})->code(), 2);
  ASSERT_TRUE(daemon_.Create("bare").ok());
  ctl = Run({"connect", "bare", "80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->Complaint(), HasSubstr("bare was made without a socket for host programs"));
}

TEST_F(GuestCommandsTest, AGuestCallsAProgramThatListens) {
  Boot();
  const std::string path = uds_ + "_9000";
  const auto listener = Start({"listen", "web", "9000"});
  ASSERT_TRUE(stage_.RunUntil([&] { return Exists(path); })) << stage_.Describe();
  // It is there a moment before it is listened on; then the guest is refused and calls again.
  std::optional<Stream> call;
  ASSERT_TRUE(stage_.RunUntil([&] {
    if (!call.has_value() || call->closed()) call = guest_->Connect(kHostCid, 9000);
    return call->established();
  })) << stage_.Describe();
  call->Send("a guest");
  call->ShutdownSend();
  listener->Type("a host");
  listener->EndInput();
  ASSERT_TRUE(stage_.RunUntil([&] { return call->at_eof(); })) << stage_.Describe();
  EXPECT_EQ(call->Received(), "a host");
  call->Close();
  EXPECT_EQ(End(*listener), 0) << listener->Complaint();
  EXPECT_EQ(listener->printed(), "a guest");
  EXPECT_FALSE(Exists(path));
}

TEST_F(GuestCommandsTest, OneProgramListensOnAPortAndLeavesNothingBehind) {
  const std::string path = uds_ + "_9000";
  const auto first = Start({"listen", "web", "9000"});
  ASSERT_TRUE(stage_.RunUntil([&] { return Exists(path); })) << stage_.Describe();
  // From its first moment on: also while it is not listened on yet.
  const auto second = Run({"listen", "web", "9000"});
  EXPECT_EQ(second->code(), 4);
  EXPECT_THAT(second->Complaint(), HasSubstr("another program listens on " + path + " already"));
  ASSERT_TRUE(stage_.RunUntil([&] { return IsListenedOn(path); })) << "the first one was not disturbed";
  // A guest that is gone at once; this process is the daemon's user.
  { const HybridClient caller(stage_, path); }
  first->EndInput();
  EXPECT_EQ(End(*first), 0) << first->Complaint();
  EXPECT_FALSE(Exists(path));
}

TEST_F(GuestCommandsTest, ASocketThatWasLeftBehindIsTakenOverAndASignalTakesItAway) {
  const std::string path = uds_ + "_9000";
  testing::ListenAt(path, 1, SOCK_STREAM).reset();  // by a program that was killed
  ASSERT_TRUE(Exists(path));
  const auto listener = Start({"listen", "web", "9000"});
  ASSERT_TRUE(stage_.RunUntil([&] { return IsListenedOn(path); })) << stage_.Describe();
  struct stat now;
  ASSERT_EQ(stat(path.c_str(), &now), 0);
  EXPECT_EQ(now.st_mode & 0777, 0666u) << "the daemon may be another user";
  listener->Signal(SIGTERM);
  EXPECT_EQ(End(*listener), -SIGTERM);
  EXPECT_FALSE(Exists(path));
}

TEST_F(GuestCommandsTest, SshIsGivenTheConnectionItself) {
  Boot();
  guest_->Listen(22);
  const auto proxy = Start({"proxy", "--fdpass", "web.kinsock", "22"});
  const UniqueFd ssh = proxy->TakeOutput();
  Stream server = guest_->Accept(22);
  ASSERT_TRUE(stage_.RunUntil([&] { return proxy->code().has_value(); })) << stage_.Describe();
  EXPECT_EQ(proxy->code(), 0) << proxy->Complaint();
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ASSERT_EQ(recvmsg(ssh.get(), &message, MSG_CMSG_CLOEXEC), 1);
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  int fd = -1;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  HybridClient client(stage_, UniqueFd(fd));
  client.Send("SSH-2.0");
  server.Send("SSH-2.0 too");
  ASSERT_TRUE(stage_.RunUntil([&] { return client.Received() == "SSH-2.0 too" && server.Received() == "SSH-2.0"; }));
}

TEST_F(GuestCommandsTest, WhyOneEndDoesNotReachAnotherIsExplained) {
  auto ctl = Run({"explain", "host", "web:80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->printed(), AllOf(HasSubstr("[-] web: no VMM is connected to its device\n"),
                                    HasSubstr("  try: kinsockctl vmm-args web\n")));
  Boot();
  EXPECT_THAT(Run({"explain", "host", "web:80"})->printed(), HasSubstr("  try: kinsockctl connect web 80\n"));
  EXPECT_EQ(Run({"connect", "web", "80"})->code(), 4);
  ctl = Run({"explain", "host", "web:80"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->printed(), HasSubstr(" s ago, failed: the guest said no"));
  guest_->Listen(80);
  const auto asker = Start({"connect", "web", "80"});
  const Stream teller = guest_->Accept(80);
  ctl = Run({"explain", "host", "web:80"});
  EXPECT_EQ(ctl->code(), 0);
  EXPECT_THAT(ctl->printed(), HasSubstr("[+] connected: connections/"));

  ctl = Run({"explain", "web", "host:9000"});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->printed(), HasSubstr(uds_ + "_9000 is not there\n  try: kinsockctl listen web 9000\n"));
  const auto listener = Start({"listen", "web", "9000"});
  ASSERT_TRUE(stage_.RunUntil([&] { return IsListenedOn(uds_ + "_9000"); }));
  ctl = Run({"explain", "web", "2:9000"});
  EXPECT_EQ(ctl->code(), 0) << ctl->printed();
  EXPECT_THAT(ctl->printed(), HasSubstr("nothing has come from web for CID 2 port 9000"));

  ASSERT_TRUE(daemon_.Create("db").ok());
  v1::Vm db;
  ASSERT_TRUE(daemon_.Get("vms/db", &db).ok());
  ctl = Run({"explain", "web", absl::StrCat(db.status().cid(), ":80")});
  EXPECT_EQ(ctl->code(), 4);
  EXPECT_THAT(ctl->printed(), HasSubstr("[-] db: no VMM is connected to its device"));
  EXPECT_EQ(Run({"explain", "web", "77:80"})->code(), 3);
  EXPECT_EQ(Run({"explain", "web", "nope:80"})->code(), 3);
  ctl = Run({"explain", "wbe", "db:80", "-o", "json"});
  EXPECT_EQ(ctl->code(), 3);
  EXPECT_THAT(ctl->printed(),
              AllOf(HasSubstr("\"reason\": \"VM_NOT_FOUND\""), HasSubstr("did you mean web?"),
                    HasSubstr("\"line\": \"kinsockctl explain web db:80\""), HasSubstr("\"exitCode\": 3")));
  EXPECT_EQ(Run({"explain", "web", "db"})->code(), 2);
  EXPECT_EQ(Run({"explain", "host", "host:1"})->code(), 2);
}

TEST_F(GuestCommandsTest, AVmThatHostProgramsCannotReachGetsAForward) {
  ASSERT_TRUE(daemon_.Create("bare").ok());
  v1::Vm bare;
  ASSERT_TRUE(daemon_.Get("vms/bare", &bare).ok());
  SimulatedGuest guest(stage_);
  ASSERT_TRUE(guest.PowerOn(bare.status().vhost_user_socket()).ok());
  ASSERT_TRUE(stage_.RunUntil(
      [&] { return daemon_.Get("vms/bare", &bare).ok() && bare.status().state() == v1::VmStatus::ACTIVE; }));
  auto ctl = Run({"explain", "host", "bare:80"});
  EXPECT_EQ(ctl->code(), 4);
  // Both say the same, which goes to the same daemon, and helps.
  const std::vector<std::string> forward{"forward", "create",   "bare-80",
                                         "bare:80", "--listen", "unix:" + (daemon_ / "kinsock/bare-80.sock")};
  const std::string named = "unix:" + daemon_.api_socket();
  EXPECT_THAT(ctl->printed(), AllOf(HasSubstr("[-] bare was made without a socket for host programs"),
                                    HasSubstr("  try: kinsockctl " + absl::StrJoin(forward, " ") + "\n")));
  for (const char* command : {"connect", "socat", "bench"}) {
    ctl = Run({"--endpoint=" + named, command, "bare", "80"});
    EXPECT_EQ(ctl->code(), 4);
    EXPECT_THAT(ctl->Complaint(),
                HasSubstr("  try: kinsockctl --endpoint " + named + " " + absl::StrJoin(forward, " ") + "\n"));
  }
  ctl = Run({"explain", "--endpoint", named, "host", "bare:80", "-o", "json"});
  EXPECT_THAT(ctl->printed(), HasSubstr("\"line\": \"kinsockctl --endpoint " + named + " forward create bare-80"));
  ctl = Run({"listen", "bare", "9000"});
  EXPECT_THAT(ctl->Complaint(), HasSubstr("forward create bare-9000 bare:9000 --target unix:"));
  ctl = Run(forward);
  ASSERT_EQ(ctl->code(), 0) << ctl->Complaint();
  ctl = Run({"explain", "host", "bare:80"});
  EXPECT_EQ(ctl->code(), 0);
  EXPECT_THAT(ctl->printed(), HasSubstr("[+] forwards/bare-80 takes who connects to unix:"));
}

TEST_F(GuestCommandsTest, WhatMovesIsShownAsItMoves) {
  Boot();
  guest_->Listen(80);
  const auto asker = Start({"connect", "web", "80"});
  Stream teller = guest_->Accept(80);
  const auto top = Start({"top", "--interval", "100ms"});
  // More comes while it looks.
  size_t typed = 0;
  ASSERT_TRUE(stage_.RunUntil([&] {
    if (teller.Received().size() == typed) {
      asker->Type(std::string(1000, 'x'));
      typed += 1000;
    }
    return top->printed().find("##########") != std::string::npos;
  })) << stage_.Describe();
  EXPECT_THAT(top->printed(), HasSubstr("NAME  STATE   CONNS"));
  EXPECT_THAT(top->printed(), HasSubstr("web   ACTIVE  1"));
  top->Signal(SIGINT);
  EXPECT_EQ(End(*top), 0) << "as its key q does";
  const auto pairs = Run({"top", "pairs", "--interval", "100ms", "--count", "2", "--no-headers"});
  EXPECT_EQ(pairs->code(), 0);
  EXPECT_THAT(pairs->printed(), HasSubstr("host(web) > web"));
  EXPECT_THAT(Run({"top", "conns", "--interval", "100ms", "--count", "1"})->printed(), HasSubstr("):80 "));
  // For programs: a line for each look.
  const auto json = Run({"top", "--interval", "100ms", "-n", "2", "-o", "json"});
  EXPECT_EQ(json->code(), 0) << json->Complaint();
  EXPECT_EQ(std::count(json->printed().begin(), json->printed().end(), '\n'), 2);
  EXPECT_THAT(json->printed(), AllOf(HasSubstr(R"("rows":[{"name":"web","state":"ACTIVE","connections":1,)"),
                                     HasSubstr(R"("receiveBytesPerSecond":0,)")));
  EXPECT_THAT(Run({"top", "pairs", "--interval", "100ms", "-n", "1", "-o", "yaml"})->printed(),
              AllOf(StartsWith("---\nwhat: pairs\n"), HasSubstr("name: \"host(web) > web\"\n")));
  EXPECT_THAT(Run({"top", "conns", "--interval", "100ms", "-n", "1", "-o", "jsonl"})->printed(),
              AllOf(StartsWith(R"({"connections":[{"name":"connections/)"), HasSubstr(R"("port":80)")));
  EXPECT_EQ(Run({"top", "--interval", "100ms", "-n", "1", "-o", "name"})->printed(), "web\n");
  EXPECT_EQ(Run({"top", "--interval", "1ms"})->code(), 2);
  EXPECT_EQ(Run({"top", "--sort", "luck"})->code(), 2);
}

TEST_F(GuestCommandsTest, AVmIsTracedUntilItIsGone) {
  Boot();
  guest_->Listen(80);
  const auto trace = Start({"trace", "web"});
  const auto sees = [&](const std::string& what) {
    return stage_.RunUntil([&] { return trace->printed().find(what) != std::string::npos; });
  };
  ASSERT_TRUE(sees("lifecycle  VM_CREATED  vms/web")) << "also what was before" << stage_.Describe();
  const auto asker = Start({"connect", "web", "80"});
  Stream teller = guest_->Accept(80);
  ASSERT_TRUE(sees("  conn  ADDED  host:")) << trace->printed();
  ASSERT_EQ(Run({"policy", "create", "closed", "--deny", "--from", "host"})->code(), 0);
  EXPECT_EQ(Run({"connect", "web", "80"})->code(), 5);
  ASSERT_TRUE(sees("denial  POLICY_DENIED")) << trace->printed();
  ASSERT_EQ(Run({"vm", "create", "db"})->code(), 0);
  ASSERT_EQ(Run({"vm", "delete", "web", "--force"})->code(), 0);
  EXPECT_EQ(End(*trace), 0) << trace->Complaint();
  EXPECT_THAT(trace->printed(), HasSubstr("VM_DELETED  vms/web"));
  EXPECT_THAT(trace->printed(), ::testing::Not(HasSubstr("vms/db"))) << "of others nothing is said";
  EXPECT_EQ(Run({"trace", "nosuch"})->code(), 3);
}

TEST_F(GuestCommandsTest, TextToPaste) {
  EXPECT_EQ(Run({"socat", "web", "80"})->printed(), "{ echo CONNECT 80; cat; } | socat - UNIX-CONNECT:" + uds_ + "\n");
  EXPECT_EQ(Run({"socat", "web", "80", "--listen"})->printed(), "socat - UNIX-LISTEN:" + uds_ + "_80,mode=0666\n");
  EXPECT_THAT(Run({"ssh-config"})->printed(),
              AllOf(HasSubstr("Host *.kinsock\n    ProxyCommand /"),
                    HasSubstr("/kinsockctl --endpoint unix:" + daemon_.api_socket() + " proxy --fdpass %n %p\n")));
  EXPECT_THAT(Run({"ssh-config", "web"})->printed(),
              HasSubstr("Host web web.kinsock\n    HostKeyAlias web.kinsock\n    ProxyCommand /"));
  EXPECT_EQ(Run({"ssh-config", "nope"})->code(), 3);
  EXPECT_THAT(Run({"vmm-args", "web", "--vmm", "libvirt"})->printed(), HasSubstr("<access mode='shared'/>"));
}

TEST_F(GuestCommandsTest, ShellsLearnCommandsOptionsAndNames) {
  ASSERT_TRUE(daemon_.Create("db").ok());
  EXPECT_EQ(Run({"__complete", "vm", "get", ""})->printed(), "db\nweb\n");
  EXPECT_EQ(Run({"__complete", "connect", "w"})->printed(), "web\n");
  EXPECT_EQ(Run({"__complete", "tunnel", "w"})->printed(), "web\n");
  EXPECT_EQ(Run({"__complete", "vm", "create", ""})->printed(), "") << "a new name is not there yet";
  EXPECT_EQ(Run({"__complete", "vm", "list", "-o", "j"})->printed(), "json\njsonl\n");
  EXPECT_EQ(Run({"__complete", "vm", "list", "--output", "=", "y"})->printed(), "yaml\n") << "as bash splits it";
  EXPECT_EQ(Run({"__complete", "--timeout", "5s", "conn", "list", "--vm", ""})->printed(), "db\nweb\n");
  EXPECT_THAT(Run({"__complete", "vm", "create", "--no"})->printed(),
              AllOf(HasSubstr("--no-seqpacket\tOffer"), HasSubstr("--no-headers\t")));
  EXPECT_THAT(Run({"__complete", "vm"})->printed(), AllOf(HasSubstr("vm\t"), HasSubstr("vmm-args\t")));
  // The daemon that the line names, in each way of writing it; bash splits at the sign.
  const std::string endpoint = "unix:" + daemon_.api_socket();
  const auto complete = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "__complete");
    RunningCtl ctl(stage_, "unix:/no/such", words);
    ctl.EndInput();
    End(ctl);
    return ctl.printed();
  };
  EXPECT_EQ(complete({"vm", "get", ""}), "");
  EXPECT_EQ(complete({"--endpoint", endpoint, "vm", "get", ""}), "db\nweb\n");
  EXPECT_EQ(complete({"--endpoint=" + endpoint, "vm", "get", ""}), "db\nweb\n");
  EXPECT_EQ(complete({"vm", "get", "--endpoint", "=", endpoint, ""}), "db\nweb\n");
  // Without a daemon there are no names, and no complaint.
  const auto alone = Run({"__complete", "--endpoint", "unix:/no/such", "vm", "get", ""});
  EXPECT_EQ(alone->printed() + alone->Complaint(), "");
  EXPECT_EQ(Run({"completion", "tcsh"})->code(), 2);
}

TEST_F(GuestCommandsTest, ShellsLearnNetworksPoliciesAndCids) {
  ASSERT_EQ(Run({"net", "create", "lab"})->code(), 0);
  ASSERT_EQ(Run({"policy", "create", "closed", "--net", "lab", "--deny"})->code(), 0);
  ASSERT_EQ(Run({"policy", "create", "open", "--allow"})->code(), 0);
  ASSERT_EQ(Run({"cid", "reserve", "77", "--net", "lab"})->code(), 0);
  EXPECT_EQ(Run({"__complete", "net", "get", ""})->printed(), "default\nlab\n");
  EXPECT_EQ(Run({"__complete", "net", "create", ""})->printed(), "") << "a new name is not there yet";
  EXPECT_EQ(Run({"__complete", "vm", "create", "x", "--net", "l"})->printed(), "lab\n");
  EXPECT_EQ(Run({"__complete", "policy", "get", ""})->printed(), "open\n") << "of the default network";
  EXPECT_EQ(Run({"__complete", "policy", "delete", "--net", "lab", ""})->printed(), "closed\n");
  EXPECT_EQ(Run({"__complete", "policy", "delete", "--net=lab", ""})->printed(), "closed\n");
  EXPECT_EQ(Run({"__complete", "policy", "test", "w"})->printed(), "web\n");
  EXPECT_EQ(Run({"__complete", "policy", "test", "web", "w"})->printed(), "web:\n");
  EXPECT_EQ(Run({"__complete", "cid", "release", "--net", "lab", ""})->printed(), "77\n");
}

TEST_F(GuestCommandsTest, ShellsLearnForwardsAndTheConfigurationsCommands) {
  ASSERT_EQ(Run({"forward", "create", "web-ssh", "web:22", "--listen", "unix:" + (daemon_ / "ssh.sock")})->code(), 0);
  EXPECT_EQ(Run({"__complete", "forward", "delete", ""})->printed(), "web-ssh\n");
  EXPECT_EQ(Run({"__complete", "forward", "create", ""})->printed(), "") << "a new name is not there yet";
  EXPECT_EQ(Run({"__complete", "forward", "create", "x", "w"})->printed(), "web:\n");
  EXPECT_THAT(Run({"__complete", "config", ""})->printed(), AllOf(HasSubstr("dump\t"), HasSubstr("check\t")));
  EXPECT_THAT(Run({"__complete", "daemon", "rel"})->printed(), HasSubstr("reload\t"));
}

}  // namespace
}  // namespace kinsock
