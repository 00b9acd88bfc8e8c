// SPDX-License-Identifier: Apache-2.0
//
// Quotas through the API: what may be said, that it changes while the VM exists, that it holds, and that the VM says
// so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/server/vm_fixture.h"

namespace kinsock {
namespace {

using testing::BadFields;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Reason;
using testing::SimulatedGuest;
using testing::Stream;
using testing::VmFixture;

class VmQuotaTest : public VmFixture {
 protected:
  explicit VmQuotaTest(Config config = {}) : VmFixture(std::move(config)) {}

  static v1::CreateVmRequest Wanted(const std::string& id, const v1::Quota& quota) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    *request.mutable_vm()->mutable_spec()->mutable_quota() = quota;
    return request;
  }
  grpc::Status Create(const v1::CreateVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::CreateVm, request, vm);
  }
  static v1::UpdateVmRequest Changed(const std::string& id, const v1::Quota& quota,
                                     const std::vector<std::string>& paths) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + id);
    *request.mutable_vm()->mutable_spec()->mutable_quota() = quota;
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    return request;
  }
  v1::Condition Limited(const std::string& id) {
    const v1::Vm vm = Get(id);
    for (const v1::Condition& condition : vm.status().conditions()) {
      if (condition.type() == "QuotaLimited") return condition;
    }
    ADD_FAILURE() << "no condition QuotaLimited";
    return {};
  }
  // How many of so many connections of `from` to `to` come about.
  int Connections(SimulatedGuest& from, SimulatedGuest& to, int times) {
    to.Listen(80);
    std::vector<Stream> calls;
    for (int i = 0; i < times; ++i) calls.push_back(from.Connect(to.cid(), 80));
    int established = 0;
    for (const Stream& call : calls) {
      EXPECT_TRUE(stage_.RunUntil([&] { return !call.connecting(); }));
      established += call.established() ? 1 : 0;
    }
    return established;
  }
};

TEST_F(VmQuotaTest, WhatIsSaidIsKeptAsItWasSaid) {
  v1::Quota quota;
  quota.set_max_connections(100);
  quota.mutable_bytes_to_guest()->set_rate(1'000'000);
  quota.mutable_packets_from_guest()->set_rate(1000);
  quota.mutable_packets_from_guest()->set_burst(50);
  v1::Vm made;
  ASSERT_TRUE(Create(Wanted("a", quota), &made).ok());
  EXPECT_EQ(made.spec().quota().SerializeAsString(), quota.SerializeAsString());
  EXPECT_EQ(Limited("a").status(), v1::Condition::FALSE);
  EXPECT_EQ(Limited("a").reason(), "WithinLimits");
  ASSERT_TRUE(daemon_.Create("b").ok());
  EXPECT_FALSE(Get("b").spec().has_quota());
}

TEST_F(VmQuotaTest, AllThatIsWrongIsNamed) {
  v1::Quota quota;
  quota.set_max_connections(65537);
  quota.set_max_buffer_bytes(1);
  quota.mutable_bytes_to_guest()->set_rate(1);
  quota.mutable_connects_per_second()->set_burst(5);
  const grpc::Status refused = Create(Wanted("a", quota));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(refused), "FIELD_INVALID");
  const std::vector<std::string> fields = Fields(refused);
  EXPECT_THAT(fields, ElementsAre("vm.spec.quota.max_connections", "vm.spec.quota.max_buffer_bytes",
                                  "vm.spec.quota.connects_per_second.burst", "vm.spec.quota.bytes_to_guest.rate"));
  ASSERT_TRUE(daemon_.Create("a").ok());
  EXPECT_EQ(Fields(Update(Changed("a", quota, {"spec.quota"}))), fields);
  EXPECT_FALSE(Get("a").spec().has_quota());
}

TEST_F(VmQuotaTest, OneLimitChangesOrAll) {
  v1::Quota quota;
  quota.set_max_connections(100);
  quota.mutable_bytes_to_guest()->set_rate(1'000'000);
  ASSERT_TRUE(Create(Wanted("a", quota)).ok());

  v1::Quota other;
  other.set_max_connections(7);
  v1::Vm vm;
  ASSERT_TRUE(Update(Changed("a", other, {"spec.quota.max_connections"}), &vm).ok());
  EXPECT_EQ(vm.generation(), 2);
  EXPECT_EQ(vm.status().observed_generation(), 2);
  EXPECT_EQ(vm.spec().quota().max_connections(), 7u);
  EXPECT_EQ(vm.spec().quota().bytes_to_guest().rate(), 1'000'000u);

  ASSERT_TRUE(Update(Changed("a", other, {"spec.quota.max_connections"}), &vm).ok());
  EXPECT_EQ(vm.generation(), 2) << "nothing new";
  ASSERT_TRUE(Update(Changed("a", other, {"spec.quota"}), &vm).ok());
  EXPECT_EQ(vm.spec().quota().SerializeAsString(), other.SerializeAsString());
  ASSERT_TRUE(Update(Changed("a", {}, {"spec.quota"}), &vm).ok());
  EXPECT_FALSE(vm.spec().has_quota());

  const grpc::Status unknown = Update(Changed("a", other, {"spec.quota.bytes_to_guest.rate"}));
  EXPECT_THAT(Fields(unknown), ElementsAre("update_mask"));
  EXPECT_THAT(BadFields(unknown).field_violations(0).description(), HasSubstr("a rate with its burst"));
  EXPECT_THAT(Fields(Update(Changed("a", other, {"spec.quota.nosuch"}))), ElementsAre("update_mask"));
}

TEST_F(VmQuotaTest, ItHoldsFromTheMomentItIsAnsweredAndIsTold) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  EXPECT_EQ(Connections(a_, b_, 3), 3);
  v1::Quota quota;
  quota.set_max_connections(5);
  ASSERT_TRUE(Update(Changed("a", quota, {"spec.quota"})).ok());
  EXPECT_EQ(Connections(a_, b_, 4), 2) << "with the three that are there";
  ASSERT_TRUE(stage_.RunUntil([&] { return Limited("a").status() == v1::Condition::TRUE; }));
  EXPECT_EQ(Limited("a").reason(), "MaxConnections");
  EXPECT_THAT(Limited("a").message(), HasSubstr("max_connections"));
  EXPECT_EQ(Limited("b").status(), v1::Condition::FALSE);
  v1::WaitVmRequest over;
  over.set_name("vms/a");
  over.set_condition("QuotaLimited");
  over.set_status(v1::Condition::FALSE);
  EXPECT_TRUE(Call(&v1::VmService::Stub::WaitVm, over).ok());

  ASSERT_TRUE(Update(Changed("a", {}, {"spec.quota"})).ok());
  EXPECT_EQ(Connections(a_, b_, 4), 4);
}

TEST_F(VmQuotaTest, GroupsAndQuotaChangeTogether) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  v1::Quota quota;
  quota.set_max_connections(1);
  v1::UpdateVmRequest change = Changed("a", quota, {"spec.quota", "spec.groups"});
  change.mutable_vm()->mutable_spec()->add_groups("default");
  change.mutable_vm()->mutable_spec()->add_groups("other");
  v1::Vm vm;
  ASSERT_TRUE(Update(change, &vm).ok());
  EXPECT_EQ(vm.status().observed_generation(), 2);
  EXPECT_EQ(Connections(a_, b_, 3), 1);
}

Config WithQuota(uint32_t max_connections) {
  Config config;
  config.quota.max_connections = max_connections;
  return config;
}

class DaemonQuotaTest : public VmQuotaTest {
 protected:
  DaemonQuotaTest() : VmQuotaTest(WithQuota(2)) {}
};

TEST_F(DaemonQuotaTest, NoVmGetsMoreThanTheConfigurationGives) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  EXPECT_EQ(Connections(a_, b_, 4), 2);
  v1::Quota more;
  more.set_max_connections(100);
  ASSERT_TRUE(Update(Changed("a", more, {"spec.quota"})).ok());
  EXPECT_EQ(Connections(a_, b_, 1), 0);
  EXPECT_EQ(Get("a").spec().quota().max_connections(), 100u) << "what was asked for stays what was asked for";
}

TEST_F(VmQuotaTest, ApplyConvergesIt) {
  v1::ApplyVmRequest wanted;
  wanted.set_vm_id("a");
  wanted.mutable_vm()->mutable_spec()->mutable_quota()->set_max_connections(9);
  v1::Vm vm;
  ASSERT_TRUE(Apply(wanted, &vm).ok());
  EXPECT_EQ(vm.spec().quota().max_connections(), 9u);
  ASSERT_TRUE(Apply(wanted, &vm).ok());
  EXPECT_EQ(vm.generation(), 1);
  wanted.mutable_vm()->mutable_spec()->clear_quota();
  ASSERT_TRUE(Apply(wanted, &vm).ok());
  EXPECT_EQ(vm.generation(), 2);
  EXPECT_FALSE(vm.spec().has_quota()) << "what is not said any more is gone";
}

}  // namespace
}  // namespace kinsock
