// SPDX-License-Identifier: Apache-2.0
//
// What is left of forwards after kinsockd was stopped, or killed, and started again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/util/message_differencer.h"
#include "tests/server/daemon_process.h"
#include "tests/server/forward_client.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using testing::ForwardClient;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Reason;

class ForwardRestartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Start();
    ASSERT_TRUE(daemon_.Create("web", 42).ok());
  }

  void Start(const std::vector<std::string>& flags = {}) {
    ASSERT_TRUE(daemon_.Start(flags)) << daemon_.errors();
    stub_ = v1::ForwardService::NewStub(daemon_.channel());
  }
  void StartWith(const std::string& yaml) {
    const std::string file = daemon_ / "kinsock.yaml";
    std::ofstream(file) << yaml;
    Start({"--config", file});
  }
  ForwardClient Forwards() { return ForwardClient(*stub_); }
  bool Answers(const std::string& name) { return testing::TryConnect(testing::NewUnixSocket(), daemon_ / name); }
  std::string Address(const std::string& name) { return "unix:" + (daemon_ / name); }

  v1::Forward Get(const std::string& id) {
    v1::Forward forward;
    EXPECT_TRUE(Forwards().Get(id, &forward).ok());
    return forward;
  }

  testing::DaemonProcess daemon_;
  std::unique_ptr<v1::ForwardService::Stub> stub_;
};

TEST_F(ForwardRestartTest, AForwardIsThereAgainAndListens) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"));
  request.mutable_forward()->mutable_socket_access()->set_mode(0600);
  request.mutable_forward()->set_send_proxy_v2(true);
  v1::Forward ssh, log;
  ASSERT_TRUE(Forwards().Create(request, &ssh).ok());
  ASSERT_TRUE(Forwards().Create(ForwardClient::FromGuest("log", "web", 514, "tcp:127.0.0.1:514"), &log).ok());
  daemon_.Kill();
  Start();
  EXPECT_TRUE(Answers("ssh"));
  for (const v1::Forward& made : {ssh, log}) {
    v1::Forward before = made, after = Get(made.name().substr(sizeof("forwards/") - 1));
    EXPECT_EQ(after.status().error(), "");
    before.clear_status();
    after.clear_status();
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(before, after)) << after.DebugString();
  }
  struct stat found {};
  ASSERT_EQ(stat((daemon_ / "ssh").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  // Nothing of it is left after an orderly end.
  daemon_.Stop();
  EXPECT_NE(stat((daemon_ / "ssh").c_str(), &found), 0);
}

TEST_F(ForwardRestartTest, WhatWasChangedOrDeletedStaysSo) {
  ASSERT_TRUE(Forwards().Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  ASSERT_TRUE(Forwards().Create(ForwardClient::ToGuest("gone", "web", 23, Address("gone"))).ok());
  v1::UpdateForwardRequest update;
  update.mutable_forward()->set_name("forwards/ssh");
  update.mutable_forward()->set_guest_port(2222);
  update.mutable_update_mask()->add_paths("guest_port");
  ASSERT_TRUE(Forwards().Update(update).ok());
  ASSERT_TRUE(Forwards().Delete("gone").ok());
  daemon_.Kill();
  Start();
  EXPECT_THAT(Forwards().List(), ElementsAre("forwards/ssh"));
  EXPECT_EQ(Get("ssh").guest_port(), 2222u);
  EXPECT_EQ(Get("ssh").generation(), 2);
  EXPECT_FALSE(Answers("gone"));
}

TEST_F(ForwardRestartTest, AVmTakesItsForwardsWithItForGood) {
  ASSERT_TRUE(Forwards().Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  ASSERT_TRUE(daemon_.Delete("web").ok());
  ASSERT_TRUE(daemon_.Create("web", 43).ok());
  daemon_.Kill();
  Start();
  EXPECT_THAT(Forwards().List(), IsEmpty());
}

TEST_F(ForwardRestartTest, ARepetitionOverARestartMakesNothingAgain) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"));
  request.set_request_id("once");
  v1::Forward first, again;
  ASSERT_TRUE(Forwards().Create(request, &first).ok());
  v1::DeleteForwardRequest remove;
  remove.set_name("forwards/ssh");
  remove.set_request_id("away");
  daemon_.Kill();
  Start();
  ASSERT_TRUE(Forwards().Create(request, &again).ok());
  EXPECT_EQ(again.uid(), first.uid());
  request.set_forward_id("other");
  EXPECT_EQ(Reason(Forwards().Create(request)), "REQUEST_ID_REUSED");
  ASSERT_TRUE(Forwards().Delete(remove).ok());
  daemon_.Kill();
  Start();
  EXPECT_THAT(Forwards().List(), IsEmpty());
  ASSERT_TRUE(Forwards().Delete(remove, &again).ok());
  EXPECT_EQ(again.uid(), first.uid());
}

TEST_F(ForwardRestartTest, TheFileMayForwardToAVmOfTheApi) {
  daemon_.Kill();
  StartWith("forwards: [{name: ssh, vm: web, guest_port: 22, listen: \"" + Address("ssh") + "\"}]\n");
  EXPECT_THAT(Forwards().List(), ElementsAre("forwards/ssh"));
  EXPECT_EQ(Get("ssh").status().error(), "");
  EXPECT_TRUE(Answers("ssh"));
}

TEST_F(ForwardRestartTest, TheFileMayForwardToAVmThatCannotBeServedAgain) {
  daemon_.Kill();
  StartWith("vms: [{name: heir, guest_cid: 42}]\nforwards: [{name: ssh, vm: web, guest_port: 22, listen: \"" +
            Address("ssh") + "\"}]\n");
  ASSERT_EQ(daemon_.Get("web").status().state(), v1::VmStatus::FAILED);
  EXPECT_NE(Get("ssh").status().error(), "");
  EXPECT_FALSE(Answers("ssh"));
}

TEST_F(ForwardRestartTest, APortThatTheFileForwardsIsNoLongerThatOfOneThatWasKept) {
  ASSERT_TRUE(Forwards().Create(ForwardClient::FromGuest("kept", "web", 514, "tcp:127.0.0.1:514")).ok());
  daemon_.Kill();
  StartWith("forwards: [{name: log, vm: web, guest_port: 514, target: \"tcp:127.0.0.1:1514\"}]\n");
  EXPECT_EQ(Get("log").status().error(), "");
  EXPECT_THAT(Get("kept").status().error(), HasSubstr("through forwards/log"));
}

TEST_F(ForwardRestartTest, WhatCannotListenStaysAndSaysWhy) {
  ASSERT_TRUE(Forwards().Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  ASSERT_TRUE(Forwards().Create(ForwardClient::ToGuest("web", "web", 80, Address("http"))).ok());
  daemon_.Stop();
  {
    const UniqueFd foreign = testing::ListenAt(daemon_ / "ssh");
    Start();
    EXPECT_THAT(Get("ssh").status().error(), HasSubstr("is served by a running process"));
    EXPECT_EQ(Get("web").status().error(), "");
    EXPECT_TRUE(Answers("http"));
    daemon_.Stop();
  }
  Start();
  EXPECT_EQ(Get("ssh").status().error(), "");
  EXPECT_TRUE(Answers("ssh"));
}

TEST_F(ForwardRestartTest, WhatTheDiskRefusesIsNotServed) {
  const rlimit full{1, RLIM_INFINITY};  // of files; as far as the daemon can tell, a full disk
  ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  EXPECT_EQ(Reason(Forwards().Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh")))), "STORE_FAILED");
  EXPECT_FALSE(Answers("ssh"));
  EXPECT_THAT(Forwards().List(), IsEmpty());
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_FSIZE, &none, nullptr), 0);
  EXPECT_TRUE(Forwards().Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
}

}  // namespace
}  // namespace kinsock
