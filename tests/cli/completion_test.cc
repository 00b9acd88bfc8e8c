// SPDX-License-Identifier: Apache-2.0
//
// Real shells at a terminal complete kinsockctl's commands, and names that only the daemon knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/cli/run_ctl.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::Environment;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::RunAtTerminal;
using testing::RunProgram;

constexpr char kPrompt[] = "ready> ";

class CompletionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.Create("webserver", 42).ok());
    ASSERT_TRUE(daemon_.Create("db-1", 43).ok());
    ASSERT_TRUE(daemon_.Create("db-2", 44).ok());
  }

  Environment Here() const {
    char directory[4096];
    EXPECT_NE(getcwd(directory, sizeof(directory)), nullptr);
    return {{"PATH", std::string(directory) + "/cli:/usr/local/bin:/usr/bin:/bin"},
            {"KINSOCK_ENDPOINT", "unix:" + daemon_.api_socket()},
            {"HOME", daemon_.directory()},
            {"TERM", "xterm"},
            {"PS1", kPrompt}};
  }

  testing::RunningDaemon daemon_;
};

TEST_F(CompletionTest, BashAtATerminal) {
  const Outcome outcome = RunAtTerminal("/bin/bash", {"--norc", "--noprofile", "-i"}, Here(), 120, true,
                                        {{kPrompt, "source <(kinsockctl completion bash)\n"},
                                         {kPrompt, "kinsockctl vm get web\t\n"},
                                         {kPrompt, "kinsockctl --output=js\tl conn li\t\n"},
                                         {kPrompt, "kinsockctl vmm-args db-\t\t"},
                                         {"db-2", "1 --vmm q\t\n"},
                                         {kPrompt, "exit\n"}});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("webserver  LISTENING  42"), HasSubstr("db-1  db-2"), HasSubstr("vms/db-1/vhost.sock")))
      << outcome.out;
}

TEST_F(CompletionTest, ZshAtATerminal) {
  const Outcome outcome = RunAtTerminal("zsh", {"-f", "-i"}, Here(), 120, true,
                                        {{kPrompt, "autoload -U compinit; compinit -u -D\n"},
                                         {kPrompt, "source <(kinsockctl completion zsh)\n"},
                                         {kPrompt, "kinsockctl vm get web\t\n"},
                                         {kPrompt, "kinsockctl socat db\t\t"},
                                         {"db-2", "\025exit 0\n"}});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("webserver  LISTENING  42"), HasSubstr("db-1"), HasSubstr("db-2")));
}

TEST_F(CompletionTest, Fish) {
  const auto offers = [&](const std::string& line) {
    return RunProgram("fish", {"--no-config", "-c", "kinsockctl completion fish | source; complete -C '" + line + "'"},
                      Here());
  };
  EXPECT_EQ(offers("kinsockctl vm get ").out, "db-1\ndb-2\nwebserver\n");
  EXPECT_EQ(offers("kinsockctl vm get we").out, "webserver\n");
  EXPECT_THAT(offers("kinsockctl vm wa").out,
              AllOf(HasSubstr("wait\tWait until a VM is in a state"), HasSubstr("watch\t")));
  EXPECT_EQ(offers("kinsockctl vm get nope").out, "");
}

}  // namespace
}  // namespace kinsock
