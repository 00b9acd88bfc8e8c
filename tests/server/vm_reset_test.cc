// SPDX-License-Identifier: Apache-2.0
//
// ResetVm as a client and two guests meet it, with and without an event queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/chain_builder.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stream.h"

namespace kinsock {
namespace {

using testing::GuestOptions;
using ::testing::IsEmpty;
using testing::Reason;
using testing::SimulatedGuest;
using testing::Stream;

GuestOptions WithEventQueue() {
  GuestOptions options;
  options.queues = 3;
  return options;
}

class VmResetTest : public testing::VmFixture {
 protected:
  grpc::Status Reset(const std::string& id, v1::Vm* vm = nullptr) {
    v1::ResetVmRequest request;
    request.set_name("vms/" + id);
    return Call(&v1::VmService::Stub::ResetVm, request, vm);
  }
  uint64_t TransportResets(const std::string& id) {
    v1::GetVmRequest request;
    request.set_name("vms/" + id);
    request.set_view(v1::FULL);
    v1::Vm vm;
    EXPECT_TRUE(Call(&v1::VmService::Stub::GetVm, request, &vm).ok());
    EXPECT_EQ(vm.status().stats().closes().count("TRANSPORT_RESET"), 1u);
    return vm.status().stats().transport_resets();
  }

  SimulatedGuest modern_{stage_, WithEventQueue()};  // under a VMM that hands all queues over
};

TEST_F(VmResetTest, BothEndsOfEveryConnectionAreReset) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  a_.Listen(80);
  Stream caller = b_.Connect(3, 80);
  Stream callee = a_.Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return caller.established(); })) << "before that it would be refused, not closed";
  v1::Vm vm;
  ASSERT_TRUE(Reset("a", &vm).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::ACTIVE);
  EXPECT_EQ(vm.generation(), 1);
  EXPECT_TRUE(stage_.RunUntil([&] { return caller.was_reset() && callee.was_reset(); }));
  EXPECT_EQ(TransportResets("a"), 0u) << "there is no queue to say it through";
  Stream again = b_.Connect(3, 80);
  EXPECT_TRUE(stage_.RunUntil([&] { return again.established(); })) << "others may begin at once";
  EXPECT_THAT(a_.violations().list(), IsEmpty());
}

TEST_F(VmResetTest, TheDriverIsToldThroughItsEventQueue) {
  Boot("a", 3, modern_);
  Boot("b", 4, b_);
  modern_.Listen(80);
  Stream caller = b_.Connect(3, 80);
  Stream callee = modern_.Accept(80);
  ASSERT_TRUE(stage_.RunUntil([&] { return caller.established(); }));
  ASSERT_TRUE(Reset("a").ok());
  testing::VringDriver& events = *modern_.machine().events();
  ASSERT_TRUE(stage_.RunUntil([&] { return events.HasUsed(); }));
  EXPECT_EQ(events.Reap()->written, 4u) << "a struct virtio_vsock_event";
  EXPECT_TRUE(events.TakeInterrupt());
  EXPECT_EQ(TransportResets("a"), 1u);

  // The driver has no buffer there now: what comes next waits, and is one event however often it was asked for.
  ASSERT_TRUE(Reset("a").ok());
  ASSERT_TRUE(Reset("a").ok());
  EXPECT_FALSE(events.HasUsed());
  const uint64_t buffer = modern_.machine().memory().Allocate(4);
  events.Add(testing::ChainBuilder().Writable(buffer, 3));  // too short: given back as it is
  events.Add(testing::ChainBuilder().Writable(buffer, 4));
  events.Add(testing::ChainBuilder().Writable(buffer, 4));
  events.Publish();
  events.Kick();
  ASSERT_TRUE(stage_.RunUntil([&] { return events.used_idx() == 3; }));
  EXPECT_EQ(events.Reap()->written, 0u);
  EXPECT_EQ(events.Reap()->written, 4u);
  EXPECT_FALSE(events.HasUsed());
  EXPECT_THAT(modern_.violations().list(), IsEmpty());
}

TEST_F(VmResetTest, TheQueueGoesOnAfterAPauseWhereItWas) {
  Boot("a", 3, modern_);
  testing::VringDriver& events = *modern_.machine().events();
  ASSERT_TRUE(modern_.Suspend().ok());
  ASSERT_TRUE(Reset("a").ok());
  EXPECT_FALSE(events.HasUsed());
  ASSERT_TRUE(modern_.Resume().ok());
  ASSERT_TRUE(stage_.RunUntil([&] { return events.HasUsed(); })) << "it waited";
  EXPECT_EQ(events.Reap()->written, 4u);
  ASSERT_TRUE(modern_.Suspend().ok());
  ASSERT_TRUE(modern_.Resume().ok());
  events.Add(testing::ChainBuilder().Writable(modern_.machine().memory().Allocate(4), 4));
  events.Publish();
  events.Kick();
  ASSERT_TRUE(Reset("a").ok());
  ASSERT_TRUE(stage_.RunUntil([&] { return events.HasUsed(); }));
  EXPECT_THAT(modern_.violations().list(), IsEmpty());
}

TEST_F(VmResetTest, AVmWithoutAGuestIsResetInVain) {
  EXPECT_EQ(Reason(Reset("a")), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create("a").ok());
  EXPECT_TRUE(Reset("a").ok());
}

}  // namespace
}  // namespace kinsock
