// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl apply, in a process of its own, and a daemon in this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "tests/cli/run_ctl.h"
#include "tests/server/file_daemon.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::RunCtl;
using testing::RunningDaemon;
using ::testing::StartsWith;

class ApplyTest : public ::testing::Test {
 protected:
  Outcome Ctl(const std::vector<std::string>& arguments, const std::string& input = "") {
    return RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + daemon_.api_socket()}}, input);
  }
  Outcome Apply(const std::string& text, std::vector<std::string> more = {}) {
    std::ofstream(daemon_ / "f.yaml") << text;
    more.insert(more.begin(), {"apply", "-f", daemon_ / "f.yaml"});
    return Ctl(more);
  }
  std::string At(const char* place) { return "kinsockctl: " + (daemon_ / "f.yaml") + place; }

  RunningDaemon daemon_;
};

constexpr char kAll[] = R"(
networks: [{name: lab, cid_range: 5000-5999, quarantine: 30s}]
policies: [{network: lab, name: closed, priority: 5, allow: false, to: {host: true}}]
vms: [{name: web, guest_cid: 42, labels: {tier: web}}, {name: db}]
forwards: [{name: log, vm: web, guest_port: 514, target: "tcp:127.0.0.1:514"}]
)";

TEST_F(ApplyTest, WhatIsThereAlreadyStays) {
  const Outcome first = Apply(kAll);
  EXPECT_EQ(first.code, 0) << first.error;
  EXPECT_EQ(first.out,
            "networks/lab created\nnetworks/lab/policies/closed created\nvms/web created\nvms/db created\n"
            "forwards/log created\n");
  const Outcome again = Apply(kAll);
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_EQ(again.out,
            "networks/lab unchanged\nnetworks/lab/policies/closed unchanged\nvms/web unchanged\nvms/db unchanged\n"
            "forwards/log unchanged\n");
  EXPECT_EQ(again.error, "");
}

TEST_F(ApplyTest, WhatIsOtherChanges) {
  ASSERT_EQ(Apply(kAll).code, 0);
  const Outcome changed = Apply(R"(
name: networks/lab
cidRange: {first: 5000, last: 6999}
quarantine: 30s
---
name: networks/lab/policies/closed
priority: 5
to: {host: true}
allow: true
---
name: web
labels: {tier: db}
spec: {cid: {staticCid: 42}}
---
name: forwards/log
vm: vms/web
guestPort: 515
target: tcp:127.0.0.1:514
)");
  EXPECT_EQ(changed.code, 0) << changed.error;
  EXPECT_EQ(changed.out,
            "networks/lab changed\nnetworks/lab/policies/closed changed\nvms/web changed\nforwards/log changed\n");
  EXPECT_THAT(Ctl({"policy", "get", "--net", "lab", "closed", "-o", "json"}).out, HasSubstr("\"allow\": true"));
  EXPECT_THAT(Ctl({"vm", "get", "web", "-o", "yaml"}).out, HasSubstr("tier: db"));
  EXPECT_THAT(Ctl({"forward", "get", "log", "-o", "json"}).out, HasSubstr("\"guestPort\": 515"));
  EXPECT_THAT(Ctl({"vm", "list", "-o", "name"}).out, HasSubstr("vms/db")) << "what is not named is left alone";
}

TEST_F(ApplyTest, WhatIsListedOrDumpedIsAFile) {
  ASSERT_EQ(Apply(kAll).code, 0);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"vm", "list", "-o", "yaml"},
                                             {"vm", "list", "-o", "json"},
                                             {"vm", "list", "-o", "jsonl"},
                                             {"net", "list", "-o", "yaml"},
                                             {"forward", "list", "-o", "yaml"},
                                             {"config", "dump"},
                                             {"config", "dump", "-o", "json"}}) {
    const Outcome applied = Ctl({"apply", "-f", "-"}, Ctl(command).out);
    EXPECT_EQ(applied.code, 0) << command[0] << ": " << applied.error;
    EXPECT_THAT(applied.out, AllOf(HasSubstr(" unchanged\n"), Not(HasSubstr(" created")), Not(HasSubstr(" changed"))))
        << command[0];
  }
}

TEST_F(ApplyTest, ADryRunAsksTheDaemonAndChangesNothing) {
  const Outcome dry = Apply(kAll, {"--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.error;
  EXPECT_EQ(dry.out,
            "networks/lab would be created\n"
            "networks/lab/policies/closed would be created, once what it is in or of is there\n"
            "vms/web would be created\nvms/db would be created\n"
            "forwards/log would be created, once what it is in or of is there\n");
  EXPECT_EQ(Ctl({"vm", "list", "-o", "name"}).out, "");
  ASSERT_EQ(Apply(kAll).code, 0);
  EXPECT_EQ(Apply("name: web\nspec: {cid: {staticCid: 42}}\n", {"--dry-run"}).out, "vms/web would be changed\n");
  EXPECT_THAT(Ctl({"vm", "get", "web", "-o", "yaml"}).out, HasSubstr("tier: web"));
  EXPECT_EQ(Apply(kAll, {"--dry-run", "-o", "name"}).code, 0);
}

TEST_F(ApplyTest, WhatIsRefusedIsSaidWithItsPlaceAndTheRestIsDone) {
  ASSERT_EQ(Apply("name: web\nspec: {cid: {staticCid: 42}}\n").code, 0);
  const Outcome some = Apply(
      "- {name: web, spec: {cid: {staticCid: 43}}}\n- {name: db}\n- name: bad\n  spec:\n    uds: {path: relative}\n"
      "    queueSize: 7\n- {name: taken, spec: {cid: {staticCid: 42}}}\n");
  EXPECT_EQ(some.code, 1) << "the worst: a field that makes no sense";
  EXPECT_EQ(some.out, "vms/db created\n");
  EXPECT_THAT(some.error, AllOf(HasSubstr(At(":1:3: vms/web: IMMUTABLE_FIELD: ")), HasSubstr("spec.cid is 42"),
                                HasSubstr(At(":5:17: vms/bad: spec.uds.path: ")),
                                HasSubstr(At(":6:16: vms/bad: spec.queue_size: ")),
                                HasSubstr(At(":7:3: vms/taken: CID_IN_USE: "))));
  EXPECT_THAT(some.error, AllOf(HasSubstr("  try: kinsockctl vm get web"), HasSubstr("kinsockctl: 3 of 4 failed;")));
  EXPECT_EQ(Apply("name: web\nspec: {cid: {staticCid: 43}}\n").code, 4) << "a conflict alone";
}

TEST_F(ApplyTest, AFileWithFaultsAsksTheDaemonNothing) {
  const Outcome bad = Apply("name: good\n---\nname: web\ncolour: red\n");
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.error, AllOf(StartsWith(At(":4:1: colour: is not a field of Vm")), HasSubstr("nothing was applied")));
  EXPECT_EQ(Ctl({"vm", "list", "-o", "name"}).out, "");
  const Outcome clash = Apply("vms: [{guest_cid: 3, socket: /tmp/a}, {guest_cid: 4, socket: /tmp/a}]\n");
  EXPECT_EQ(clash.code, 2);
  EXPECT_THAT(clash.error, HasSubstr(":1:39: path \"/tmp/a\" is already that of "));
  // The same file for kinsockd.
  const Outcome checked = Ctl({"config", "check", daemon_ / "f.yaml"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.error, HasSubstr(":1:39: path \"/tmp/a\" is already that of the VM at "));
  for (const char* file : {"/no/such", "/", "/dev/zero"}) {
    const Outcome none = Ctl({"apply", "-f", file});
    EXPECT_EQ(none.code, 2) << file;
    EXPECT_THAT(none.error, StartsWith(std::string("kinsockctl: ") + file + ": "));
  }
  EXPECT_THAT(Apply("# nothing\n").error, HasSubstr("describes nothing"));
  EXPECT_EQ(Ctl({"apply"}).code, 2);
}

TEST_F(ApplyTest, ForProgramsItAnswersAsAReloadDoes) {
  ASSERT_EQ(Apply("name: web\nspec: {cid: {staticCid: 42}}\n").code, 0);
  const Outcome applied =
      Apply("[{name: web, spec: {cid: {staticCid: 42}}}, {name: db}, {name: x, spec: {queueSize: 7}}]", {"-o", "json"});
  EXPECT_EQ(applied.code, 1);
  v1::ReloadResponse response;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(applied.out, &response).ok()) << applied.out;
  EXPECT_TRUE(response.applied());
  EXPECT_EQ(response.unchanged(), 1u);
  ASSERT_EQ(response.changes_size(), 2);
  EXPECT_EQ(response.changes(0).name(), "vms/db");
  EXPECT_EQ(response.changes(0).action(), v1::ConfigChange::CREATE);
  EXPECT_EQ(response.changes(1).reason(), "FIELD_INVALID");
}

TEST_F(ApplyTest, ManyVmsOfSeveralFiles) {
  std::string text;
  for (int i = 0; i < 300; ++i) absl::StrAppend(&text, "{\"name\": \"vms/v-", i, "\"}\n");
  std::ofstream(daemon_ / "other.yaml") << "name: other\n";
  const Outcome first = Apply(text, {"-f", daemon_ / "other.yaml"});
  EXPECT_EQ(first.code, 0) << first.error;
  EXPECT_THAT(first.out, AllOf(StartsWith("vms/v-0 created\nvms/v-1 created\n"), HasSubstr("vms/v-299 created\n"),
                               HasSubstr("vms/other created\n")));
  EXPECT_EQ(daemon_.Info().counts().vms(), 301u);
  EXPECT_THAT(Apply(text).out, AllOf(HasSubstr("vms/v-0 unchanged\n"), Not(HasSubstr("created"))));
}

TEST(ApplyToFileDaemonTest, TheDaemonsOwnFileChangesNothingThere) {
  const char* const text =
      "networks: [{name: lab, cid_range: 5000-5999}]\npolicies: [{network: lab, name: p, allow: true}]\n"
      "vms: [{name: a, guest_cid: 3, labels: {tier: web}}]\n";
  testing::FileDaemon daemon(text);
  const auto ctl = [&](std::vector<std::string> arguments, const std::string& input) {
    arguments.insert(arguments.begin(), {"apply", "-f", "-"});
    return RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + daemon->api_socket()}}, input);
  };
  const Outcome same = ctl({}, text);
  EXPECT_EQ(same.code, 0) << same.error;
  EXPECT_EQ(same.out, "networks/lab unchanged\nnetworks/lab/policies/p unchanged\nvms/a unchanged\n");
  const std::string other = "networks: [{name: lab}]\nvms: [{name: a, guest_cid: 3}]\n";
  const Outcome refused = ctl({}, other);
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.error, AllOf(HasSubstr("standard input:1:12: networks/lab: MANAGED_BY_FILE: "),
                                   HasSubstr("standard input:2:7: vms/a: MANAGED_BY_FILE: ")));
  EXPECT_THAT(ctl({"--force-conflicts"}, other).out, HasSubstr("vms/a changed"));
}

TEST(ApplyAloneTest, WithoutADaemonItStopsAtOnce) {
  const Outcome outcome =
      RunCtl({"apply", "-f", "-", "--endpoint", "unix:/no/such"}, {}, "[{name: a}, {name: b}, {name: networks/lab}]");
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("no kinsockd answers at unix:/no/such"), HasSubstr("3 of 3 failed")));
  EXPECT_EQ(outcome.error.find("no kinsockd"), outcome.error.rfind("no kinsockd")) << "once, not for each";
  EXPECT_EQ(outcome.out, "");
}

}  // namespace
}  // namespace kinsock
