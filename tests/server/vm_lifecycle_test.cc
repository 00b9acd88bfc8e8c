// SPDX-License-Identifier: Apache-2.0
#include "server/vm_lifecycle.h"

#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

class VmLifecycleTest : public ::testing::Test {
 protected:
  VmLifecycleTest() { BeginProvisioning(vm_, Now()); }

  void Device(DeviceState state, const std::string& error = "", DrainState drain = DrainState::kNone) {
    DeviceStatus status;
    status.state = state;
    status.drain = drain;
    status.front_end.pid = 77;
    status.last_error = error;
    ++second_;
    ApplyDeviceStatus(vm_, status, Now());
  }

  WallTime Now() const { return WallTime(std::chrono::seconds(second_)); }
  const Condition& connected() const { return vm_.conditions[0]; }
  const Condition& ready() const { return vm_.conditions[1]; }

  int second_ = 1'000'000'000;
  VmStatus vm_;
};

TEST_F(VmLifecycleTest, FollowsTheDevice) {
  EXPECT_EQ(vm_.state, VmState::kProvisioning);
  Device(DeviceState::kListening);
  EXPECT_EQ(vm_.state, VmState::kListening);
  EXPECT_FALSE(vm_.front_end.has_value());

  Device(DeviceState::kConnected);
  EXPECT_EQ(vm_.state, VmState::kConnected);
  ASSERT_TRUE(vm_.front_end.has_value());
  EXPECT_EQ(vm_.front_end->pid, 77);
  EXPECT_TRUE(connected().holds);
  EXPECT_FALSE(ready().holds);

  Device(DeviceState::kActive);
  EXPECT_EQ(vm_.state, VmState::kActive);
  EXPECT_TRUE(ready().holds);

  Device(DeviceState::kSuspended);
  EXPECT_EQ(vm_.state, VmState::kSuspended);
  EXPECT_TRUE(connected().holds);
  EXPECT_STREQ(ready().reason, "RingsStopped");
}

TEST_F(VmLifecycleTest, TheEndOfASessionLeavesItsReason) {
  Device(DeviceState::kActive);
  Device(DeviceState::kListening, "the VMM sent a ring outside of its memory");
  EXPECT_EQ(vm_.state, VmState::kListening);
  EXPECT_FALSE(vm_.front_end.has_value());
  EXPECT_STREQ(connected().reason, "SessionFailed");
  EXPECT_EQ(connected().message, "the last session ended: the VMM sent a ring outside of its memory");
}

TEST_F(VmLifecycleTest, AConditionRemembersWhenItTurned) {
  Device(DeviceState::kListening);
  Device(DeviceState::kConnected);
  const WallTime attached = Now();
  Device(DeviceState::kActive);
  EXPECT_EQ(connected().last_transition, attached);
  EXPECT_EQ(ready().last_transition, Now());
}

TEST_F(VmLifecycleTest, BothConditionsAreAlwaysNamed) {
  EXPECT_STREQ(connected().type, "FrontEndConnected");
  EXPECT_STREQ(ready().type, "DriverReady");
  BeginDeleting(vm_, Now());
  EXPECT_EQ(vm_.state, VmState::kDeleting);
  EXPECT_STREQ(connected().reason, "Deleting");
}

TEST_F(VmLifecycleTest, ADrainHidesTheStateButNotTheConditions) {
  Device(DeviceState::kActive, "", DrainState::kDraining);
  EXPECT_EQ(vm_.state, VmState::kDraining);
  EXPECT_TRUE(ready().holds);
  Device(DeviceState::kListening, "", DrainState::kDrained);
  EXPECT_EQ(vm_.state, VmState::kDrained);
  EXPECT_FALSE(connected().holds);
  Device(DeviceState::kListening);
  EXPECT_EQ(vm_.state, VmState::kListening);
}

}  // namespace
}  // namespace kinsock
