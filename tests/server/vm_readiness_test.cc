// SPDX-License-Identifier: Apache-2.0
//
// GuestReady through the API: who may say it, that this changes while the VM exists, and that calls, lists and watches
// hear of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "tests/server/vm_fixture.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Reason;
using testing::Stream;
using testing::VmFixture;

constexpr uint32_t kPort = 9000;
constexpr uint64_t kHost = 2;

class VmReadinessTest : public VmFixture {
 protected:
  static v1::Readiness Connects(uint32_t port) {
    v1::Readiness readiness;
    readiness.set_guest_connects_port(port);
    return readiness;
  }
  static v1::Readiness Probe(uint32_t port) {
    v1::Readiness readiness;
    readiness.set_probe_guest_port(port);
    return readiness;
  }
  static v1::Readiness Notify(uint32_t port) {
    v1::Readiness readiness;
    readiness.set_sd_notify_port(port);
    return readiness;
  }
  grpc::Status Create(const std::string& id, const v1::Readiness& readiness, v1::Vm* vm = nullptr) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    *request.mutable_vm()->mutable_spec()->mutable_readiness() = readiness;
    return Call(&v1::VmService::Stub::CreateVm, request, vm);
  }
  static v1::UpdateVmRequest Changed(const std::string& id, const v1::Readiness* readiness,
                                     const std::string& path = "spec.readiness") {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + id);
    if (readiness != nullptr) *request.mutable_vm()->mutable_spec()->mutable_readiness() = *readiness;
    if (!path.empty()) request.mutable_update_mask()->add_paths(path);
    return request;
  }
  static v1::Condition Ready(const v1::Vm& vm) {
    for (const v1::Condition& condition : vm.status().conditions()) {
      if (condition.type() == "GuestReady") return condition;
    }
    ADD_FAILURE() << "no condition GuestReady";
    return {};
  }
  v1::Condition Ready(const std::string& id) { return Ready(Get(id)); }
  void AwaitReady(const std::string& id, v1::Condition::Status status) {
    EXPECT_TRUE(stage_.RunUntil([&] { return Ready(id).status() == status; })) << Ready(id).DebugString();
  }
  std::vector<std::string> Listed(const std::string& filter) {
    v1::ListVmsRequest request;
    request.set_filter(filter);
    v1::ListVmsResponse page;
    EXPECT_TRUE(daemon_.List(request, &page).ok());
    std::vector<std::string> names;
    for (const v1::Vm& vm : page.vms()) names.push_back(vm.name());
    return names;
  }
  void Say(testing::SimulatedGuest& guest, const std::string& text) {
    Stream stream = guest.Connect(kHost, kPort);
    EXPECT_TRUE(stage_.RunUntil([&] { return stream.established(); }));
    stream.Send(text);
    stream.ShutdownSend();
    EXPECT_TRUE(stage_.RunUntil([&] { return stream.at_eof() || stream.closed(); }));
    stream.Close();
  }
};

TEST_F(VmReadinessTest, NobodySaysItUnlessSomebodyWasNamed) {
  Boot("a", 3, a_);
  EXPECT_EQ(Ready("a").status(), v1::Condition::UNKNOWN);
  EXPECT_EQ(Ready("a").reason(), "NoSource");
  EXPECT_FALSE(Get("a").spec().has_readiness());
}

TEST_F(VmReadinessTest, AWaitEndsWhenTheGuestConnects) {
  v1::Vm made;
  ASSERT_TRUE(Create("a", Connects(kPort), &made).ok());
  EXPECT_EQ(made.spec().readiness().guest_connects_port(), kPort);
  EXPECT_EQ(Ready(made).status(), v1::Condition::FALSE);
  EXPECT_EQ(Ready(made).reason(), "NoFrontEnd");
  v1::WaitVmRequest request;
  request.set_name("vms/a");
  request.set_condition("GuestReady");
  v1::Vm vm;
  std::future<grpc::Status> waiting =
      std::async(std::launch::async, [&] { return Call(&v1::VmService::Stub::WaitVm, request, &vm); });
  PowerOn("a", a_);
  EXPECT_EQ(Ready("a").status(), v1::Condition::FALSE);
  EXPECT_EQ(Ready("a").reason(), "Waiting");
  EXPECT_THAT(Listed("condition.GuestReady = TRUE"), IsEmpty());
  Stream attempt = a_.Connect(kHost, kPort);
  EXPECT_TRUE(stage_.RunUntil([&] { return attempt.was_reset(); })) << "there are no host programs";
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_EQ(Ready(vm).status(), v1::Condition::TRUE);
  EXPECT_EQ(Ready(vm).reason(), "GuestConnected");
  EXPECT_EQ(Ready(vm).observed_generation(), 1);
  EXPECT_THAT(Listed("condition.GuestReady = TRUE"), ElementsAre("vms/a"));

  const auto since = Ready(vm).last_transition_time();
  ASSERT_TRUE(a_.Suspend().ok());
  Await("a", v1::VmStatus::SUSPENDED);
  EXPECT_EQ(Ready("a").status(), v1::Condition::UNKNOWN);
  EXPECT_EQ(Ready("a").reason(), "RingsStopped");
  ASSERT_TRUE(a_.Resume().ok());
  AwaitReady("a", v1::Condition::TRUE);
  EXPECT_NE(Ready("a").last_transition_time().SerializeAsString(), since.SerializeAsString());
  a_.Kill();
  AwaitReady("a", v1::Condition::FALSE);
  EXPECT_TRUE(stage_.RunUntil([&] { return Ready("a").reason() == "NoFrontEnd"; }));
}

TEST_F(VmReadinessTest, AProbeFindsWhoAccepts) {
  ASSERT_TRUE(Create("a", Probe(kPort)).ok());
  a_.Listen(kPort);
  PowerOn("a", a_);
  AwaitReady("a", v1::Condition::TRUE);
  EXPECT_EQ(Ready("a").reason(), "ProbeAccepted");
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::ListConnectionsRequest request;
  request.add_states(v1::Connection::CLOSED);
  v1::ListConnectionsResponse closed;
  ASSERT_TRUE(daemon_.connections().ListConnections(&context, request, &closed).ok());
  EXPECT_EQ(closed.connections_size(), 0);
}

TEST_F(VmReadinessTest, WhatTheGuestSaysIsInTheMessage) {
  ASSERT_TRUE(Create("a", Notify(kPort)).ok());
  PowerOn("a", a_);
  Say(a_, "READY=1\nSTATUS=Startup \x1b[31m\xff finished\n");
  AwaitReady("a", v1::Condition::TRUE);
  EXPECT_EQ(Ready("a").reason(), "GuestNotified");
  EXPECT_THAT(Ready("a").message(), HasSubstr("the guest says: status \"Startup \\033[31m\\377 finished\""));
  Say(a_, "STOPPING=1\n");
  AwaitReady("a", v1::Condition::FALSE);
  EXPECT_EQ(Ready("a").reason(), "GuestStopping");
}

TEST_F(VmReadinessTest, AnotherSourceCanBeNamed) {
  ASSERT_TRUE(Create("a", Connects(kPort)).ok());
  PowerOn("a", a_);
  const v1::Readiness notify = Notify(kPort);
  v1::Vm vm;
  ASSERT_TRUE(Update(Changed("a", &notify), &vm).ok());
  EXPECT_EQ(vm.generation(), 2);
  EXPECT_EQ(vm.status().observed_generation(), 2);
  EXPECT_THAT(Ready(vm).message(), HasSubstr("READY=1"));
  ASSERT_TRUE(Update(Changed("a", &notify), &vm).ok());
  EXPECT_EQ(vm.generation(), 2) << "nothing new";
  Say(a_, "READY=1");
  AwaitReady("a", v1::Condition::TRUE);

  // A mask may be left out: what is set is meant.
  v1::UpdateVmRequest probe = Changed("a", nullptr, "");
  *probe.mutable_vm()->mutable_spec()->mutable_readiness() = Probe(kPort);
  ASSERT_TRUE(Update(probe, &vm).ok());
  EXPECT_EQ(Ready(vm).status(), v1::Condition::FALSE);
  ASSERT_TRUE(Update(Changed("a", nullptr), &vm).ok());
  EXPECT_FALSE(vm.spec().has_readiness());
  EXPECT_EQ(Ready(vm).status(), v1::Condition::UNKNOWN);

  v1::ApplyVmRequest apply;
  apply.set_vm_id("a");
  *apply.mutable_vm()->mutable_spec()->mutable_readiness() = notify;
  ASSERT_TRUE(Apply(apply, &vm).ok());
  EXPECT_EQ(vm.spec().readiness().sd_notify_port(), kPort);
  EXPECT_EQ(Ready(vm).status(), v1::Condition::FALSE) << "it begins anew";
}

TEST_F(VmReadinessTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Fields(Create("a", Connects(0))), ElementsAre("vm.spec.readiness.guest_connects_port"));
  EXPECT_THAT(Fields(Create("a", Probe(0xffff'ffff))), ElementsAre("vm.spec.readiness.probe_guest_port"));
  EXPECT_THAT(Fields(Create("a", Notify(0))), ElementsAre("vm.spec.readiness.sd_notify_port"));
  EXPECT_THAT(Fields(Create("a", {})), ElementsAre("vm.spec.readiness"));
  ASSERT_TRUE(daemon_.Create("a").ok());
  const v1::Readiness nowhere = Notify(0);
  EXPECT_THAT(Fields(Update(Changed("a", &nowhere))), ElementsAre("vm.spec.readiness.sd_notify_port"));
  const v1::Readiness good = Notify(kPort);
  const grpc::Status part = Update(Changed("a", &good, "spec.readiness.sd_notify_port"));
  EXPECT_EQ(Reason(part), "FIELD_INVALID");
  EXPECT_THAT(part.error_message(), HasSubstr("name \"spec.readiness\""));
  EXPECT_EQ(Get("a").generation(), 1);
}

}  // namespace
}  // namespace kinsock
