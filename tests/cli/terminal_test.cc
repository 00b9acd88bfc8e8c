// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl as a person sees it: on terminals, narrow ones and colourful ones, and in pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/text/text_width.h"
#include "tests/cli/run_ctl.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::Environment;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::RunAtTerminal;
using testing::RunCtl;

constexpr char kName[] = "a-web-server-with-a-long-name";
constexpr char kGreen[] = "\033[32mACTIVE\033[0m";

class TerminalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::CreateVmRequest request;
    request.set_vm_id(kName);
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(request, &vm).ok());
    ASSERT_TRUE(guest_.PowerOn(vm.status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage_.RunUntil(
        [&] { return daemon_.Get(vm.name(), &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; }));
  }

  Environment Here(const Environment& more = {{"TERM", "xterm"}}) const {
    Environment all = more;
    all["KINSOCK_ENDPOINT"] = "unix:" + daemon_.api_socket();
    return all;
  }

  testing::RunningDaemon daemon_;
  testing::Stage stage_;
  testing::SimulatedGuest guest_{stage_};
};

TEST_F(TerminalTest, StatesHaveColoursOnATerminalOnly) {
  const struct {
    const char* name;
    Outcome outcome;
    bool coloured;
  } kCases[] = {
      {"a terminal", RunAtTerminal(testing::kCtl, {"vm", "list"}, Here(), 200), true},
      {"a pipe", RunCtl({"vm", "list"}, Here()), false},
      {"NO_COLOR", RunAtTerminal(testing::kCtl, {"vm", "list"}, Here({{"TERM", "xterm"}, {"NO_COLOR", "1"}}), 200),
       false},
      {"an empty NO_COLOR",
       RunAtTerminal(testing::kCtl, {"vm", "list"}, Here({{"TERM", "xterm"}, {"NO_COLOR", ""}}), 200), true},
      {"--no-color", RunAtTerminal(testing::kCtl, {"vm", "list", "--no-color"}, Here(), 200), false},
      {"a dumb terminal", RunAtTerminal(testing::kCtl, {"vm", "list"}, Here({{"TERM", "dumb"}}), 200), false},
      {"no TERM", RunAtTerminal(testing::kCtl, {"vm", "list"}, Here({}), 200), false},
      {"JSON", RunAtTerminal(testing::kCtl, {"vm", "list", "-o", "json"}, Here(), 200), false},
  };
  for (const auto& a_case : kCases) {
    EXPECT_EQ(a_case.outcome.code, 0) << a_case.name << a_case.outcome.error;
    EXPECT_THAT(a_case.outcome.out, HasSubstr("ACTIVE")) << a_case.name;
    if (a_case.coloured) {
      EXPECT_THAT(a_case.outcome.out, HasSubstr(kGreen)) << a_case.name;
    } else {
      EXPECT_THAT(a_case.outcome.out, Not(HasSubstr("\033"))) << a_case.name;
    }
  }
}

TEST_F(TerminalTest, ListsFitATerminalOf40Columns) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"vm", "list"},
                                                                                       {"vm", "get", kName},
                                                                                       {"conn", "list"},
                                                                                       {"conn", "list", "--closed"},
                                                                                       {"net", "list"},
                                                                                       {"policy", "list"},
                                                                                       {"cid", "list"},
                                                                                       {"forward", "list"},
                                                                                       {"pairs"},
                                                                                       {"stats"},
                                                                                       {"info"}}) {
    const Outcome outcome = RunAtTerminal(testing::kCtl, command, Here({}), 40);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();  // the terminal's
      EXPECT_LE(TextWidth(line), 40u) << command[0] << ": " << line;
    }
  }
  EXPECT_THAT(RunAtTerminal(testing::kCtl, {"vm", "list"}, Here({}), 40).out, HasSubstr("…"));
  EXPECT_THAT(RunCtl({"vm", "list"}, Here()).out, Not(HasSubstr("…"))) << "nothing is cut in a pipe";
  EXPECT_THAT(RunAtTerminal(testing::kCtl, {"vm", "list", "-o", "wide"}, Here({}), 40).out,
              HasSubstr("-long-name/vhost.sock"))
      << "what was asked for is there to be copied";
}

TEST_F(TerminalTest, WideListsHaveWhatMovesAndWhereItIs) {
  const Outcome wide = RunCtl({"vm", "list", "-o", "wide"}, Here());
  EXPECT_EQ(wide.code, 0) << wide.error;
  EXPECT_THAT(wide.out,
              ::testing::ContainsRegex("^NAME +STATE +CID +NET +GROUPS +CONNS +RX/s +TX/s +READY +AGE +SOCKET +"
                                       "UDS +FORWARD +PID +TROUBLE\n"));
  EXPECT_THAT(wide.out, ::testing::ContainsRegex("ACTIVE +1024 +default +default +0 +0 +0 +yes "));
}

TEST_F(TerminalTest, EveryListHasEveryFormat) {
  for (const std::vector<std::string>& list : std::vector<std::vector<std::string>>{{"vm", "list"},
                                                                                    {"conn", "list"},
                                                                                    {"net", "list"},
                                                                                    {"policy", "list"},
                                                                                    {"cid", "list"},
                                                                                    {"forward", "list"},
                                                                                    {"pairs"},
                                                                                    {"stats"},
                                                                                    {"events"},
                                                                                    {"info"},
                                                                                    {"vm", "get", kName}}) {
    for (const char* format : {"table", "wide", "json", "yaml", "name", "jsonl"}) {
      std::vector<std::string> command = list;
      command.insert(command.end(), {"-o", format});
      const Outcome outcome = RunCtl(command, Here());
      EXPECT_EQ(outcome.code, 0) << list[0] << format << outcome.error;
      if (std::string(format) == "name")
        EXPECT_THAT(outcome.out, Not(HasSubstr("  "))) << list[0] << " " << outcome.out;
    }
    std::vector<std::string> bare = list;
    bare.push_back("--no-headers");
    EXPECT_THAT(RunCtl(bare, Here()).out, Not(HasSubstr("NAME "))) << list[0];
  }
}

TEST_F(TerminalTest, WhoWaitsSeesWhatIsWaitedFor) {
  const std::string name = kName;
  const std::vector<std::string> wait{"vm", "wait", name, "--for=DRAINED", "--timeout", "2500ms"};
  const Outcome seen = RunAtTerminal(testing::kCtl, wait, Here(), 120, true);
  EXPECT_EQ(seen.code, 124);
  EXPECT_THAT(seen.out, AllOf(HasSubstr(name + " is ACTIVE, 0 connections; waiting for DRAINED ("),
                              HasSubstr("\r\033[Kkinsockctl: vms/" + name + " is ACTIVE, not yet DRAINED")))
      << "and the line goes away";
  EXPECT_THAT(RunCtl(wait, Here()).error, Not(HasSubstr("waiting for"))) << "nobody looks";
  EXPECT_EQ(RunCtl({"vm", "drain", name, "--wait"}, Here()).code, 0);
}

}  // namespace
}  // namespace kinsock
