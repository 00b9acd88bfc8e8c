// SPDX-License-Identifier: Apache-2.0
//
// kinsockctl vm wait, when what is waited for does not come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/run_ctl.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::Outcome;

class WaitTest : public ::testing::Test {
 protected:
  Outcome Ctl(const std::vector<std::string>& arguments) {
    return testing::RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + daemon_.api_socket()}});
  }

  testing::RunningDaemon daemon_;
};

// Without --timeout it would wait for half a minute, and end with 124.
TEST_F(WaitTest, NobodyWaitsForAGuestOfWhichNobodySaysThatItIsReady) {
  ASSERT_EQ(Ctl({"vm", "create", "web"}).code, 0);
  for (const char* goal : {"GuestReady", "GuestReady=false"}) {
    const Outcome outcome = Ctl({"vm", "wait", "vms/web", "--for", goal});
    EXPECT_EQ(outcome.code, 4);
    EXPECT_EQ(outcome.error, std::string("kinsockctl: vms/web will never be ") + goal +
                                 ": nobody says whether the guest is ready: spec.readiness is not set\n"
                                 "  try: kinsockctl vm set web --ready-when probe:22\n");
  }
  // What it says to try helps.
  ASSERT_EQ(Ctl({"vm", "set", "web", "--ready-when", "probe:22"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "wait", "web", "--for=GuestReady=false"}).code, 0);
}

TEST_F(WaitTest, AConditionThatDoesNotComeSaysWhy) {
  ASSERT_EQ(Ctl({"vm", "create", "web", "--ready-when", "probe:22"}).code, 0);
  Outcome outcome = Ctl({"vm", "wait", "web", "--for=GuestReady", "--timeout", "100ms"});
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(outcome.error, HasSubstr("vms/web is LISTENING, not yet GuestReady: no VMM is connected\n"));
  outcome = Ctl({"vm", "wait", "web", "--for=ACTIVE", "--timeout", "100ms"});
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(outcome.error, HasSubstr("vms/web is LISTENING, not yet ACTIVE\n"));
  EXPECT_EQ(Ctl({"vm", "wait", "nope", "--for=GuestReady"}).code, 3);
}

}  // namespace
}  // namespace kinsock
