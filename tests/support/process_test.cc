// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>

namespace kinsock::testing {
namespace {

TEST(ProcessTest, KeepsWhatTheProgramComplainedAbout) {
  Process process({"sh", "-c", "echo first >&2; echo second >&2; exit 3"});
  const std::optional<int> status = process.Wait(std::chrono::seconds(10));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(WEXITSTATUS(*status), 3);
  EXPECT_EQ(process.Stderr(), "first\nsecond\n");
  EXPECT_FALSE(process.running());
}

TEST(ProcessTest, StopsAProgramThatDoesNotWantTo) {
  Process process({"sh", "-c", "trap '' TERM; echo deaf >&2; while :; do sleep 1; done"});
  while (process.Stderr().empty() && process.running()) {
  }
  const int status = process.Stop(std::chrono::milliseconds(50));
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(ProcessTest, DiesWithItsObject) {
  pid_t pid = -1;
  {
    Process process({"sleep", "1000"});
    pid = process.pid();
    EXPECT_TRUE(process.running());
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

}  // namespace
}  // namespace kinsock::testing
