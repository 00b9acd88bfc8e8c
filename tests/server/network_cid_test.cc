// SPDX-License-Identifier: Apache-2.0
//
// The CIDs of a network, as clients of the API see them: which are free, reserved, resting or kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/network_fixture.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using testing::Reason;

using NetworkCidTest = testing::NetworkFixture;

TEST_F(NetworkCidTest, ACidThatIsNotFreeSaysWhy) {
  ASSERT_TRUE(daemon_.Create("a", 42).ok());
  ASSERT_TRUE(daemon_.Create("b", 43).ok());
  ASSERT_TRUE(daemon_.Delete("b").ok());
  v1::CidLease lease;
  ASSERT_TRUE(Reserve(44, &lease, "who comes").ok());
  EXPECT_EQ(lease.name(), "networks/default/cids/44");
  const std::vector<v1::CidLease> cids = Cids();
  ASSERT_EQ(cids.size(), 3u);
  EXPECT_EQ(cids[0].state(), v1::CidLease::ALLOCATED);
  EXPECT_EQ(cids[0].holder(), "vms/a");
  EXPECT_EQ(cids[1].state(), v1::CidLease::QUARANTINED);
  EXPECT_EQ(cids[1].holder(), "vms/b");
  EXPECT_TRUE(cids[1].has_quarantine_until());
  EXPECT_EQ(cids[2].state(), v1::CidLease::RESERVED);
  EXPECT_EQ(cids[2].holder(), "who comes");
  EXPECT_TRUE(cids[2].has_expire_time());
}

TEST_F(NetworkCidTest, AReservationIsForTheOneWhoNamesIt) {
  v1::CidLease lease;
  ASSERT_TRUE(Reserve(44, &lease).ok());
  EXPECT_EQ(Reason(Reserve(44, &lease)), "CID_IN_USE");
  EXPECT_EQ(Reason(CreateVm("a", "", 44)), "CID_IN_USE");
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_reservation(lease.name());
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 44u);
  EXPECT_EQ(vm.spec().cid().reservation(), lease.name());
  EXPECT_EQ(Reason(Release(lease.name())), "CID_IN_USE");
  request.set_vm_id("b");
  EXPECT_EQ(Reason(daemon_.Create(request)), "CID_NOT_FOUND");
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_reservation("networks/other/cids/44");
  EXPECT_THAT(Fields(daemon_.Create(request)), ElementsAre("vm.spec.cid.reservation"));
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_reservation("44");
  EXPECT_THAT(Fields(daemon_.Create(request)), ElementsAre("vm.spec.cid.reservation"));
}

TEST_F(NetworkCidTest, WhatNobodyUsedIsFreeAtOnceAndTheRestRests) {
  v1::CidLease lease;
  ASSERT_TRUE(Reserve(44, &lease).ok());
  ASSERT_TRUE(Release(lease.name()).ok());
  EXPECT_EQ(Reason(Release(lease.name())), "CID_NOT_FOUND");
  ASSERT_TRUE(CreateVm("a", "", 44).ok());
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_EQ(Reason(CreateVm("b", "", 44)), "CID_QUARANTINED");
  EXPECT_EQ(Reason(Release(lease.name())), "CID_QUARANTINED");
  ASSERT_TRUE(Release(lease.name(), true).ok());
  EXPECT_TRUE(CreateVm("b", "", 44).ok());
}

TEST_F(NetworkCidTest, AKeptCidWaitsForTheVmOfItsName) {
  ASSERT_TRUE(CreateVm("a", "", 44).ok());
  v1::DeleteVmRequest remove;
  remove.set_name("vms/a");
  remove.set_keep_cid(true);
  ASSERT_TRUE(daemon_.Delete(remove).ok());
  ASSERT_EQ(Cids().size(), 1u);
  EXPECT_EQ(Cids()[0].state(), v1::CidLease::RESERVED);
  EXPECT_EQ(Reason(CreateVm("b", "", 44)), "CID_IN_USE");
  EXPECT_TRUE(CreateVm("a", "", 44).ok());
}

TEST_F(NetworkCidTest, AStickyVmComesBackToItsCid) {
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_sticky(true);
  v1::Vm first, second;
  ASSERT_TRUE(daemon_.Create(request, &first).ok());
  ASSERT_TRUE(daemon_.Delete("a").ok());
  ASSERT_TRUE(daemon_.Create("b").ok());
  ASSERT_TRUE(daemon_.Create(request, &second).ok());
  EXPECT_EQ(second.status().cid(), first.status().cid());
  EXPECT_TRUE(second.spec().cid().sticky());
}

TEST_F(NetworkCidTest, TheDaemonChoosesWhereTheNetworkSays) {
  v1::Network wanted;
  wanted.mutable_cid_range()->set_first(100);
  wanted.mutable_cid_range()->set_last(103);
  v1::CidRange& reserved = *wanted.add_reserved_ranges();
  reserved.set_first(101);
  reserved.set_last(102);
  wanted.mutable_quarantine()->set_seconds(0);
  ASSERT_TRUE(Create("small", nullptr, wanted).ok());
  v1::Vm a, b;
  ASSERT_TRUE(CreateVm("a", "networks/small", 0, &a).ok());
  ASSERT_TRUE(CreateVm("b", "networks/small", 0, &b).ok());
  EXPECT_EQ(a.status().cid(), 100u);
  EXPECT_EQ(b.status().cid(), 103u);
  EXPECT_EQ(Reason(CreateVm("c", "networks/small", 0)), "CID_RANGE_EXHAUSTED");
  EXPECT_TRUE(CreateVm("c", "networks/small", 101).ok()) << "who asks for it gets it";
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_TRUE(CreateVm("d", "networks/small", 0, &a).ok()) << "nothing rests here";
  EXPECT_EQ(a.status().cid(), 100u);
}

}  // namespace
}  // namespace kinsock
