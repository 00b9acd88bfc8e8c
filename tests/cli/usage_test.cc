// SPDX-License-Identifier: Apache-2.0
//
// What kinsockctl says of a command line that it does not understand. No daemon is asked, and none is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/run_ctl.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::RunCtl;

struct Wrong {
  std::vector<std::string> words;
  std::string said;
  std::string help;  // of which command
};

void Expect(const Wrong& wrong) {
  const Outcome outcome = RunCtl(wrong.words, {{"KINSOCK_ENDPOINT", "unix:/no/such"}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.error, "kinsockctl: " + wrong.said + "\n  try: kinsockctl " + wrong.help + "--help\n");
  EXPECT_EQ(outcome.out, "");
}

TEST(UsageTest, AWordThatIsNoneOfAFewIsToldWhichThereAre) {
  for (const Wrong& wrong :
       std::vector<Wrong>{{{"vm", "list", "-o", "jsom"},
                           R"(--output: "jsom" is none of table, wide, json, yaml, name, jsonl (did you mean "json"?))",
                           "vm list "},
                          {{"-o", "\x02", "vm", "list"},
                           R"(--output: "\002" is none of table, wide, json, yaml, name, jsonl)",
                           "vm list "},
                          {{"log-level", "foo"}, R"(LEVEL: "foo" is none of info, warning, error)", "log-level "},
                          {{"log-level", "3"}, R"(LEVEL: "3" is none of info, warning, error)", "log-level "},
                          {{"capture", "--format", "pcapgn"},
                           R"(--format: "pcapgn" is none of pcapng, pcap (did you mean "pcapng"?))",
                           "capture "},
                          {{"bench", "web", "1", "--against", "wall"},
                           R"(--against: "wall" is none of echo, discard, source)",
                           "bench "},
                          {{"net", "create", "lab", "--default", "alow"},
                           R"(--default: "alow" is none of shared-group, allow, deny (did you mean "allow"?))",
                           "net create "},
                          {{"top", "vm"}, R"(WHAT: "vm" is none of vms, pairs, conns (did you mean "vms"?))", "top "},
                          {{"completion", "tcsh"},
                           R"(SHELL: "tcsh" is none of bash, zsh, fish (did you mean "bash"?))",
                           "completion "},
                          {{"vmm-args", "web", "--vmm", "xen"},
                           R"(--vmm: "xen" is none of qemu, crosvm, cloud-hypervisor, libvirt)",
                           "vmm-args "}}) {
    Expect(wrong);
  }
  // Understood: what is wrong is that nobody is there.
  EXPECT_EQ(RunCtl({"log-level", "INFO"}, {{"KINSOCK_ENDPOINT", "unix:/no/such"}}).code, 6);
  EXPECT_EQ(RunCtl({"info", "-o", "table"}, {{"KINSOCK_ENDPOINT", "unix:/no/such"}}).code, 6);
}

TEST(UsageTest, ACommandThatIsMistypedIsNamed) {
  for (const Wrong& wrong : std::vector<Wrong>{
           {{"vm", "creat", "x"}, R"("creat" is no command of vm (did you mean "create"?))", "vm "},
           {{"vm", "creat", "x", "--cid", "42"}, R"("creat" is no command of vm (did you mean "create"?))", "vm "},
           {{"vm", "update", "web"}, R"("update" is no command of vm)", "vm "},
           {{"reboot", "web"}, R"("reboot" is no command)", ""},
           {{"--timeout", "5s", "conm", "list"}, R"("conm" is no command (did you mean "conn"?))", ""},
           {{"-o=json", "daemon", "relod"}, R"("relod" is no command of daemon (did you mean "reload"?))", "daemon "},
           {{"\x1b[2J"}, R"("\033[2J" is no command)", ""}}) {
    Expect(wrong);
  }
}

TEST(UsageTest, WhatStandsBehindAnUnknownOptionIsNotTakenForACommand) {
  const Outcome outcome = RunCtl({"--no-such", "vm", "list"}, {});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("--no-such"));
  EXPECT_THAT(outcome.error, Not(HasSubstr("is no command")));
}

TEST(UsageTest, ATerminalIsNotMadeToObey) {
  const Outcome outcome = RunCtl({"vm", "list", "\x1b[2J"}, {});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.error, HasSubstr("\\x1b[2J"));
  EXPECT_THAT(outcome.error, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace kinsock
