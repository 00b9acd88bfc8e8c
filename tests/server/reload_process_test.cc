// SPDX-License-Identifier: Apache-2.0
//
// kinsockd in a process of its own that is told by SIGHUP to read its configuration file again, and asked whether one
// is good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"
#include "tests/support/process.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using testing::Process;
using ::testing::SizeIs;

class HangupTest : public ::testing::Test {
 protected:
  std::string file() { return daemon_ / "kinsock.yaml"; }
  void Write(const std::string& yaml) { std::ofstream(file(), std::ios::trunc) << yaml; }
  void Start(const std::string& yaml) {
    Write(yaml);
    ASSERT_TRUE(daemon_.Start({"--config", file()})) << daemon_.errors();
  }
  void Hangup() { ASSERT_EQ(kill(daemon_.pid(), SIGHUP), 0); }
  bool Exists(const std::string& id) { return !daemon_.Get(id).name().empty(); }
  bool LogSays(const std::string& text) { return daemon_.errors().find(text) != std::string::npos; }

  // Reasons of the events that are remembered, of those that are about the daemon.
  std::vector<std::string> DaemonEvents() {
    const auto stub = v1::AdminService::NewStub(daemon_.channel());
    grpc::ClientContext context;
    testing::SetDeadline(context);
    const auto stream = stub->WatchEvents(&context, v1::WatchRequest());
    std::vector<std::string> reasons;
    v1::Event event;
    while (stream->Read(&event) && event.type() != v1::Event::SYNCED) {
      if (event.object() == "daemon") reasons.push_back(event.reason());
    }
    context.TryCancel();
    stream->Finish();
    return reasons;
  }

  DaemonProcess daemon_;
  testing::Stage stage_;
};

TEST_F(HangupTest, TheFilesVmsFollowTheFileAndTheApisStay) {
  Start("vms: [{name: a, guest_cid: 3}, {name: b, guest_cid: 4}]\n");
  ASSERT_TRUE(daemon_.Create("mine", 50).ok());
  const std::string uid = daemon_.Get("a").uid();
  Write("vms: [{name: a, guest_cid: 3, labels: {tier: web}}, {name: c, guest_cid: 5}]\n");
  Hangup();
  ASSERT_TRUE(stage_.RunUntil([&] { return LogSays("config.reloaded"); })) << daemon_.errors();
  EXPECT_EQ(daemon_.Get("a").labels().at("tier"), "web");
  EXPECT_EQ(daemon_.Get("a").uid(), uid);
  EXPECT_FALSE(Exists("b"));
  EXPECT_TRUE(Exists("c"));
  EXPECT_TRUE(Exists("mine"));
  EXPECT_THAT(DaemonEvents(), ::testing::ElementsAre("CONFIG_RELOADED"));

  // After a restart there is what the file says, and what the API has made.
  daemon_.Stop();
  ASSERT_TRUE(daemon_.Start({"--config", file()})) << daemon_.errors();
  EXPECT_THAT(daemon_.List(), SizeIs(3));
  EXPECT_TRUE(Exists("mine"));
}

TEST_F(HangupTest, AWrongFileIsInTheLogAndChangesNothing) {
  Start("vms: [{name: a, guest_cid: 3}]\n");
  Write("vms: [{name: a, gest_cid: 3}]\n");
  Hangup();
  ASSERT_TRUE(stage_.RunUntil([&] { return LogSays("config.refused"); })) << daemon_.errors();
  EXPECT_THAT(daemon_.errors(), HasSubstr(absl::StrCat(file(), ":1:17")));
  EXPECT_THAT(daemon_.errors(), HasSubstr("did you mean"));
  EXPECT_EQ(daemon_.Get("a").generation(), 1);
  EXPECT_THAT(DaemonEvents(), ::testing::ElementsAre("CONFIG_REFUSED"));
}

TEST_F(HangupTest, ManySignalsAreFollowedByTheLastFile) {
  Start("vms: [{name: a, guest_cid: 3}]\n");
  for (int i = 0; i < 100; ++i) {
    Write(absl::StrCat("vms: [{name: a, guest_cid: 3, labels: {round: \"", i, "\"}}]\n"));
    Hangup();
  }
  EXPECT_TRUE(stage_.RunUntil([&] {
    const v1::Vm vm = daemon_.Get("a");
    return vm.labels().count("round") > 0 && vm.labels().at("round") == "99";
  })) << daemon_.errors();
}

TEST_F(HangupTest, WithoutAFileASignalDoesNoHarm) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  Hangup();
  EXPECT_TRUE(stage_.RunUntil([&] { return LogSays("config.not_reloaded"); })) << daemon_.errors();
  EXPECT_TRUE(daemon_.Create("a").ok());
}

class CheckTest : public HangupTest {
 protected:
  // How kinsockd ends with `yaml`; one that serves is stopped then.
  int Code(const std::string& yaml, const std::vector<std::string>& flags) {
    Write(yaml);
    std::vector<std::string> argv{"server/kinsockd", "--config", file()};
    argv.insert(argv.end(), flags.begin(), flags.end());
    Process process(argv);
    const std::optional<int> status = process.Wait(std::chrono::seconds(60));
    said_ = process.Stderr();
    return status.has_value() && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  }

  std::string said_;
};

TEST_F(CheckTest, EndsWithWhatItFound) {
  EXPECT_EQ(Code("vms: [{guest_cid: 3}]\n", {"--check"}), 0);
  EXPECT_EQ(Code("vms: [{guest_cid: 3}]\n", {"--print-config"}), 0);
  EXPECT_EQ(Code("vms: [{guest_cid: 3}]\n", {"--chek"}), 2);
}

TEST_F(CheckTest, AStartWithAWrongConfigurationEndsAsACheckOfItDoes) {
  for (const std::string& wrong :
       {std::string("vms: [{guest_cid: 2}]\n"), std::string("vms: [{guest_cid: 3, socket: /no/such/dir/a}]\n"),
        std::string(
            "vms: [{guest_cid: 3, socket: \"%t/a\", uds_path: \"%t/x\"}, {guest_cid: 4, socket: \"%t/x_5\"}]\n"),
        std::string("state: {dir: /no/such/dir/state}\n"),
        std::string("api: {listen: [\"unix:/no/such/dir/api\"]}\n")}) {
    EXPECT_EQ(Code(wrong, {"--check"}), 2) << wrong << said_;
    const std::string at_check = said_;
    EXPECT_EQ(Code(wrong, {}), 2) << wrong << said_;
    EXPECT_EQ(said_, at_check);
    EXPECT_THAT(said_, HasSubstr("kinsockd: "));
  }
}

// One line of YAML for each of `number` things.
template <typename Line>
std::string Many(const char* kind, int number, Line line) {
  std::string yaml = absl::StrCat(kind, ":\n");
  for (int i = 0; i < number; ++i) absl::StrAppend(&yaml, "- ", line(i), "\n");
  return yaml;
}

TEST_F(CheckTest, WhatOnlyTheManagersOfADaemonKnowIsFoundByACheckAsByAStart) {
  const std::string narrow = "networks: [{name: lab, cid_range: 10-12, reserved_ranges: [11-12]}]\n";
  const struct {
    const char* what;
    std::string yaml;
    std::vector<std::string> said;
  } kCases[] = {
      {"a VM in a network that is not there",
       "vms: [{guest_cid: 3, network: nosuch, socket: \"%t/a\"}]\n",
       {":1:7: ", "networks/nosuch"}},
      {"a policy of a network that is not there",
       "policies: [{network: nosuch, allow: false, to: {host: true}}]\n",
       {":1:12: ", "networks/nosuch"}},
      {"more VMs than CIDs in their network, but for those in reserved ranges",
       narrow + "vms: [{name: a, network: lab, guest_cid: auto}, {name: b, network: lab, guest_cid: auto}]\n",
       {":2:49: ", "all CIDs from 10 to 12 are taken, reserved"}},
      {"more VMs than CIDs in the range that they ask for",
       "vms: [{name: a, guest_cid: 20-21}, {name: b, guest_cid: 20-21}, {name: c, guest_cid: 20-21}]\n",
       {":1:65: ", "all CIDs from 20 to 21 are taken"}},
      {"a CID that a VM before it has been given",
       narrow + "vms: [{name: a, network: lab, guest_cid: auto}, {name: b, network: lab, guest_cid: 10}]\n",
       {":2:49: ", "CID 10 belongs to vms/a"}},
      {"a forward of a VM that is not there",
       "forwards: [{name: ssh, vm: nosuch, guest_port: 22, listen: \"unix:%t/ssh\"}]\n",
       {":1:12: ", "vms/nosuch"}},
      {"more forwards than a VM may have",
       "vms: [{name: a, guest_cid: 3}]\n" + Many("forwards", 65,
                                                 [](int i) {
                                                   return absl::StrCat("{name: f", i, ", vm: a, guest_port: ", i + 1,
                                                                       ", listen: \"unix:%t/f", i, "\"}");
                                                 }),
       {":67:3: ", "limit of 64 forwards of a VM"}},
      {"as many networks as a daemon has, and the default one",
       Many("networks", 1024, [](int i) { return absl::StrCat("{name: n", i, "}"); }),
       {":1025:3: ", "limit of 1024 networks"}},
      {"two at once",
       "vms: [{guest_cid: 3, network: nosuch}, {guest_cid: 4, network: neither}]\n",
       {":1:7: ", "networks/nosuch", ":1:40: ", "networks/neither"}},
  };
  for (const auto& wrong : kCases) {
    SCOPED_TRACE(wrong.what);
    EXPECT_EQ(Code(wrong.yaml, {"--check"}), 2) << said_;
    const std::string at_check = said_;
    for (const std::string& words : wrong.said) EXPECT_THAT(at_check, HasSubstr(words));
    EXPECT_EQ(Code(wrong.yaml, {}), 2) << said_;
    EXPECT_THAT(said_, ::testing::EndsWith(at_check)) << "after what it logs";
  }
}

TEST_F(CheckTest, WhatTheApiHasMadeIsThereForACheckAsForAStart) {
  const auto yaml = [&](const std::string& rest) {
    return absl::StrCat("state: {dir: \"", daemon_ / "state", "\"}\n", rest);
  };
  const std::string in_lab = yaml(
      "policies: [{network: lab, allow: false, to: {host: true}}]\n"
      "vms: [{name: a, network: lab, guest_cid: auto}]\n");
  EXPECT_EQ(Code(in_lab, {"--check"}), 2) << "nothing has made it: " << said_;
  EXPECT_THAT(said_, HasSubstr("networks/lab"));

  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  v1::CreateNetworkRequest lab;
  lab.set_network_id("lab");
  lab.mutable_network()->mutable_cid_range()->set_first(10);
  lab.mutable_network()->mutable_cid_range()->set_last(10);
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::Network made;
  const auto networks = v1::NetworkService::NewStub(daemon_.channel());
  const grpc::Status status = networks->CreateNetwork(&context, lab, &made);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(daemon_.Create("mine", 50).ok());

  const std::string same_name = yaml("vms: [{name: mine, guest_cid: 60}]\n");
  const std::string of_api = yaml("forwards: [{name: ssh, vm: mine, guest_port: 22, listen: \"unix:%t/ssh\"}]\n");
  const std::string too_many =
      yaml("vms: [{name: a, network: lab, guest_cid: auto}, {name: b, network: lab, guest_cid: auto}]\n");
  for (const char* state : {"a daemon has it", "one was killed that had it", "it is at rest"}) {
    SCOPED_TRACE(state);
    if (state == std::string_view("one was killed that had it")) daemon_.Kill();
    if (state == std::string_view("it is at rest")) {
      ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
      daemon_.Stop();
    }
    EXPECT_EQ(Code(in_lab, {"--check"}), 0) << said_;
    EXPECT_EQ(said_, "");
    EXPECT_EQ(Code(of_api, {"--check"}), 0) << said_;
    EXPECT_EQ(Code(same_name, {"--check"}), 2);
    EXPECT_THAT(said_, HasSubstr("is that of a VM which was created through the API"));
    EXPECT_EQ(Code(too_many, {"--check"}), 2);
    EXPECT_THAT(said_, HasSubstr("all CIDs from 10 to 10 are taken"));
  }
  for (const std::string& wrong : {same_name, too_many}) {
    EXPECT_EQ(Code(wrong, {"--check"}), 2);
    const std::string at_check = said_;
    EXPECT_EQ(Code(wrong, {}), 2);
    EXPECT_THAT(said_, ::testing::EndsWith(at_check));
  }

  // What cannot be read is left to the start, which has more to say of it.
  std::ofstream(daemon_.state_file(), std::ios::trunc) << "no database";
  EXPECT_EQ(Code(in_lab, {"--check"}), 0);
  EXPECT_THAT(said_, HasSubstr(absl::StrCat("was not looked at: ", daemon_.state_file())));
  EXPECT_EQ(Code(of_api, {"--check"}), 0) << said_;
  EXPECT_EQ(Code(in_lab, {}), 1) << said_;
}

TEST_F(CheckTest, OneThatUsesAllThereIsIsGoodAndIsServed) {
  const std::string yaml =
      "networks: [{name: lab, cid_range: 10-12, reserved_ranges: [12-12]}]\n"
      "policies: [{network: lab, allow: false, to: {host: true}}]\n"
      "vms: [{name: a, network: lab, guest_cid: auto}, {name: b, network: lab, guest_cid: auto},\n"
      "      {name: c, network: lab, guest_cid: 12}]\n"
      "forwards: [{name: ssh, vm: a, guest_port: 22, listen: \"unix:%t/ssh\"}]\n";
  EXPECT_EQ(Code(yaml, {"--check"}), 0) << said_;
  Start(yaml);
  EXPECT_THAT(daemon_.List(), SizeIs(3));
}

TEST_F(CheckTest, AStartThatAnotherDaemonPreventsEndsOtherwise) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  const std::string same = absl::StrCat("api: {listen: [\"unix:", daemon_ / "api.sock", "\"]}\n");
  EXPECT_EQ(Code(same, {"--check"}), 0) << "it is good, and its turn will come: " << said_;
  EXPECT_EQ(Code(same, {}), 1) << said_;
}

TEST_F(CheckTest, AFileThatPutsSocketsIntoTheVmsOwnDirectoriesIsServed) {
  const std::string yaml =
      "defaults: {socket_dir: \"%t/kinsock/vms\"}\n"
      "vms: [{name: web-1, guest_cid: 42, socket: \"%t/kinsock/vms/web-1/vhost.sock\", "
      "uds_path: \"%t/kinsock/vms/web-1/v.sock\"}]\n";
  EXPECT_EQ(Code(yaml, {"--check"}), 0) << said_;
  Start(yaml);
  EXPECT_EQ(daemon_.Get("web-1").status().vhost_user_socket(), daemon_ / "kinsock/vms/web-1/vhost.sock");
}

}  // namespace
}  // namespace kinsock
