// SPDX-License-Identifier: Apache-2.0
//
// What a newcomer reads who asks each command what it does, and what he is told when he gets it wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/run_ctl.h"

namespace kinsock {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::RunCtl;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

std::string Joined(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += " " + word;
  return line;
}

// The indented lines below `title` in a --help.
Words Section(const std::string& help, const std::string& title) {
  Words lines;
  std::istringstream all(help);
  bool inside = false;
  for (std::string line; std::getline(all, line);) {
    if (inside && line.empty()) break;
    if (inside) lines.push_back(line);
    inside = inside || line == title;
  }
  return lines;
}

// Every command below `command`; those that have none below them are put into `leaves`.
void Walk(const Words& command, std::vector<Words>& leaves) {
  Words line = command;
  line.push_back("--help");
  const Outcome help = RunCtl(line, {});
  EXPECT_EQ(help.code, 0) << Joined(command);
  EXPECT_EQ(help.error, "") << Joined(command);
  EXPECT_THAT(help.out, HasSubstr("Usage: kinsockctl" + Joined(command) + " [")) << Joined(command);
  EXPECT_THAT(help.out, Not(StartsWith("\n"))) << Joined(command) << " does not say what it does";
  for (const std::string& positional : Section(help.out, "Positionals:")) {
    EXPECT_THAT(positional, Not(EndsWith(" "))) << Joined(command) << ": a word of the line is not described";
  }
  const Words below = Section(help.out, "Subcommands:");
  if (below.empty()) leaves.push_back(command);
  for (const std::string& said : below) {
    if (said.rfind("   ", 0) == 0) continue;  // the rest of a description
    Words next = command;
    next.push_back(said.substr(2, said.find(' ', 2) - 2));
    Walk(next, leaves);
  }
}

TEST(HelpTest, EveryCommandSaysWhatItDoesAndNoneShowsExamplesOfAnother) {
  std::vector<Words> leaves;
  Walk({}, leaves);
  EXPECT_GT(leaves.size(), 50u);
  for (const Words& leaf : leaves) {
    Words line = leaf;
    line.push_back("--help");
    const Words examples = Section(RunCtl(line, {}).out, "Examples:");
    if (examples.empty()) continue;
    const std::string shown = Joined(examples);
    EXPECT_THAT(shown, HasSubstr("kinsockctl " + leaf.front())) << Joined(leaf);
  }
}

TEST(HelpTest, EveryCommandStandsInTheManual) {
  std::vector<Words> leaves;
  Walk({}, leaves);
  EXPECT_GT(leaves.size(), 50u);
  std::ifstream file("docs/cli.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const Words& leaf : leaves) EXPECT_THAT(page, HasSubstr("`" + Joined(leaf).substr(1) + "`"));
}

TEST(HelpTest, WhatMakesNoSenseIsSaidWithWhatToTry) {
  const struct {
    Words line;
    const char* what;
    const char* next;
  } kCases[] = {
      {{"vm", "list", "--nosuch"}, "--nosuch", "vm list "},
      {{"vm"}, "A subcommand is required", "vm "},
      {{"vm", "create"}, "NAME is required", "vm create "},
      {{"vm", "set", "web"}, "nothing to set; give --labels", "vm set "},
      {{"capture", "-w", "/dev/null", "--vm", "a b"}, "--vm: \"a b\" is no name of a VM", "capture "},
      {{"vm", "wait", "a", "--for=luck"}, "--for: \"luck\" is no state", "vm wait "},
      {{"vm", "list", "--timeout", "soon"}, "--timeout: \"soon\" is not a time", ""},
      {{"vm", "list", "--endpoint", "http://x"}, "--endpoint: ", ""},
      {{"net", "set", "lab"}, "say what to change: --default", "net set "},
      {{"net", "create", "lab", "--cids", "many"}, "--cids: \"many\" is not a range", "net create "},
      {{"policy", "create", "a"}, "say --allow or --deny", "policy create "},
      {{"policy", "create", "a", "--allow", "--deny"}, "--allow excludes --deny", "policy create "},
      {{"policy", "set", "a"}, "say what to change: --allow", "policy set "},
      {{"policy", "set", "a", "--from", "x:y"}, "--from: \"x:y\" is not any, host, VM", "policy set "},
      {{"policy", "set", "a", "--ports", "ssh"}, "--ports: \"ssh\" is not a port or a range", "policy set "},
      {{"policy", "set", "a", "--log", "--no-log"}, "--log excludes --no-log", "policy set "},
      {{"policy", "test", "a", "b"}, "\"b\" is not of the form VM:PORT", "policy test "},
      {{"forward", "create", "a", "web"}, "\"web\" is not of the form VM:PORT", "forward create "},
      {{"cid", "reserve", "x"}, "\"x\" is none of auto", "cid reserve "},
      {{"explain", "web", "db"}, "\"db\" is not of the form", "explain "},
      {{"top", "--interval", "1ms"}, "--interval: \"1ms\" is not a time of 100ms or more", "top "},
      {{"stats", "--watch", "--interval", "soon"}, "--interval: \"soon\" is not a time", "stats "},
      {{"vmm-args", "web", "--mem", "much"}, "--mem: \"much\" is not a size", "vmm-args "},
      {{"proxy", "--fdpass", "web", "22"}, "--fdpass: standard output is no socket", "proxy "},
  };
  for (const auto& a_case : kCases) {
    const Outcome outcome = RunCtl(a_case.line, {{"KINSOCK_ENDPOINT", "unix:/no/such/socket"}});
    EXPECT_EQ(outcome.code, 2) << Joined(a_case.line);
    EXPECT_THAT(outcome.error, StartsWith("kinsockctl: ")) << Joined(a_case.line);
    EXPECT_THAT(outcome.error, HasSubstr(a_case.what)) << Joined(a_case.line);
    EXPECT_THAT(outcome.error, EndsWith(std::string("\n  try: kinsockctl ") + a_case.next + "--help\n"))
        << Joined(a_case.line);
    EXPECT_EQ(outcome.out, "") << Joined(a_case.line);
  }
}

}  // namespace
}  // namespace kinsock
