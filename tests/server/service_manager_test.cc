// SPDX-License-Identifier: Apache-2.0
//
// What systemd hears of a kinsockd that it has started.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <string>

#include "tests/server/daemon_process.h"
#include "tests/server/notify_socket.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ServiceManagerTest : public ::testing::Test {
 protected:
  testing::NotifySocket manager_{std::chrono::milliseconds(300)};
  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
};

TEST_F(ServiceManagerTest, ItHearsOfReadinessOfWhatThereIsAndOfTheEnd) {
  ASSERT_TRUE(daemon_.Start());
  EXPECT_THAT(manager_.Await("READY=1"), HasSubstr("STATUS=0 VMs"));
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  EXPECT_THAT(manager_.Await("STATUS=1 VM"), HasSubstr("0 guests run"));
  daemon_.Stop();
  EXPECT_THAT(manager_.Await("STOPPING=1"), HasSubstr("STOPPING=1"));
}

TEST_F(ServiceManagerTest, ItHearsOfReloads) {
  const std::string file = daemon_ / "kinsock.yaml";
  std::ofstream(file) << "vms: [{name: a, guest_cid: 3}]\n";
  ASSERT_TRUE(daemon_.Start({"--config", file})) << daemon_.errors();
  EXPECT_THAT(manager_.Await("READY=1"), HasSubstr("STATUS=1 VM"));
  ASSERT_EQ(kill(daemon_.pid(), SIGHUP), 0);
  EXPECT_THAT(manager_.Await("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_EQ(manager_.Await("READY=1"), "READY=1");
}

TEST_F(ServiceManagerTest, WithoutAFileAReloadIsOverAtOnce) {
  ASSERT_TRUE(daemon_.Start());
  ASSERT_NE(manager_.Await("READY=1"), "");
  ASSERT_EQ(kill(daemon_.pid(), SIGHUP), 0);
  EXPECT_THAT(manager_.Await("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_EQ(manager_.Await("READY=1"), "READY=1");
  EXPECT_TRUE(daemon_.Create("a", 3).ok()) << "it goes on";
}

TEST_F(ServiceManagerTest, OneThatDoesNotReadHoldsNobodyUpAndHearsOfEverythingLater) {
  manager_.Fill();
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  EXPECT_TRUE(daemon_.Create("a", 3).ok());
  ASSERT_EQ(kill(daemon_.pid(), SIGHUP), 0);
  EXPECT_TRUE(daemon_.Create("b", 4).ok());
  manager_.Discard();
  EXPECT_THAT(manager_.Await("READY=1"), HasSubstr("STATUS=0 VMs"));
  EXPECT_THAT(manager_.Await("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_EQ(manager_.Await("READY=1"), "READY=1");
  EXPECT_THAT(manager_.Await("STATUS=2 VMs"), HasSubstr("0 guests run"));
  daemon_.Stop();
  EXPECT_THAT(daemon_.errors(), HasSubstr("notify.blocked"));
}

TEST_F(ServiceManagerTest, OneThatDoesNotReadDoesNotKeepTheDaemonFromEnding) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  manager_.Fill();
  daemon_.Stop();
  EXPECT_THAT(daemon_.errors(), HasSubstr("daemon.stopped"));
}

TEST_F(ServiceManagerTest, ADaemonThatGoesRoundFeedsTheWatchdog) {
  ASSERT_TRUE(daemon_.Start());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(manager_.Await("WATCHDOG=1"), StartsWith("WATCHDOG=1"));
}

}  // namespace
}  // namespace kinsock
