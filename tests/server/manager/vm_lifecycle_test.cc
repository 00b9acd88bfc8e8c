// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_lifecycle.h"

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

TEST_F(VmLifecycleTest, AGuestIsReadyAsItsSourceSays) {
  const Condition& guest = vm_.conditions[2];
  EXPECT_STREQ(guest.reason, "Provisioning");
  Device(DeviceState::kActive);
  EXPECT_FALSE(guest.known) << "nobody says it";

  DeviceStatus status;
  status.readiness = {Readiness::Source::kNotify, 9000};
  const auto say = [&](DeviceState state, GuestNotice::Word word, const std::string& text) {
    status.state = state;
    status.guest = word;
    status.guest_text = text;
    ++second_;
    ApplyDeviceStatus(vm_, status, Now());
  };
  say(DeviceState::kActive, GuestNotice::Word::kNone, "status \"booting\"");
  EXPECT_TRUE(guest.known);
  EXPECT_FALSE(guest.holds);
  EXPECT_EQ(guest.message,
            "the guest has not yet sent READY=1 to port 9000 of the host; the guest says: status \"booting\"");
  say(DeviceState::kActive, GuestNotice::Word::kReady, "");
  EXPECT_TRUE(guest.holds);
  EXPECT_EQ(guest.message, "the guest sent READY=1 to port 9000 of the host");
  const WallTime since = guest.last_transition;
  EXPECT_EQ(since, Now());
  say(DeviceState::kActive, GuestNotice::Word::kReady, "status \"x\"");
  EXPECT_EQ(guest.last_transition, since);
  say(DeviceState::kSuspended, GuestNotice::Word::kReady, "");
  EXPECT_FALSE(guest.known || guest.holds);
  say(DeviceState::kActive, GuestNotice::Word::kStopping, "");
  EXPECT_STREQ(guest.reason, "GuestStopping");
  say(DeviceState::kConnected, GuestNotice::Word::kNone, "");
  EXPECT_STREQ(guest.reason, "DriverNotReady");
  say(DeviceState::kListening, GuestNotice::Word::kNone, "");
  EXPECT_STREQ(guest.reason, "NoFrontEnd");
}

TEST_F(VmLifecycleTest, AllThatIsWrongIsSaidTheWorstFirst) {
  const Condition& degraded = vm_.conditions[4];
  EXPECT_STREQ(degraded.type, "Degraded");
  EXPECT_FALSE(degraded.holds);
  DeviceStatus status;
  status.state = DeviceState::kConnected;
  status.fault = DeviceFault::kMessage;
  status.fault_text = "SET_MEM_TABLE: no";
  status.flooding = true;
  ApplyDeviceStatus(vm_, status, Now(), {.lost_socket = "/run/a", .store = "no space"});
  EXPECT_TRUE(degraded.holds);
  EXPECT_STREQ(degraded.reason, "RequestRefused");
  for (const char* part : {"SET_MEM_TABLE: no", "/run/a", "no space", "limited_control"}) {
    EXPECT_NE(degraded.message.find(part), std::string::npos) << degraded.message;
  }
  status = {};
  ApplyDeviceStatus(vm_, status, Now(), {.lost_socket = "/run/a", .store = ""});
  EXPECT_STREQ(degraded.reason, "SocketLost");
  ApplyDeviceStatus(vm_, status, Now());
  EXPECT_FALSE(degraded.holds);
  BeginFailed(vm_, "the socket is taken", Now());
  EXPECT_STREQ(degraded.reason, "NotServed");
}

TEST_F(VmLifecycleTest, AGuestUnderItsFormerCidIsAReasonUntilItIsGone) {
  const Condition& degraded = vm_.conditions[4];
  vm_.cid = 7;
  DeviceStatus status;
  status.state = DeviceState::kActive;
  status.driver_cid = 3;
  ApplyDeviceStatus(vm_, status, Now());
  EXPECT_STREQ(degraded.reason, "FormerCid");
  EXPECT_EQ(vm_.driver_cid, 3u);
  status.driver_cid = 0;  // it cannot be told
  ApplyDeviceStatus(vm_, status, Now());
  EXPECT_FALSE(degraded.holds);
  status.driver_cid = 7;
  ApplyDeviceStatus(vm_, status, Now());
  EXPECT_FALSE(degraded.holds);
  EXPECT_EQ(vm_.driver_cid, 7u);
  BeginDeleting(vm_, Now());
  EXPECT_EQ(vm_.driver_cid, 0u);
}

TEST_F(VmLifecycleTest, ConditionsAreAlwaysNamed) {
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
