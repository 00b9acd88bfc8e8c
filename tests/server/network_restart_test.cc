// SPDX-License-Identifier: Apache-2.0
//
// What of networks, policies and CIDs outlives the daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/network_fixture.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using testing::Ask;
using testing::Deny;
using testing::RunningDaemon;

using Stub = v1::NetworkService::Stub;

TEST(NetworkRestartTest, NetworksPoliciesAndCidsAreThereAgain) {
  testing::TempDir dir;
  Config config;
  config.state_dir = dir / "state";
  std::string uid;
  {
    RunningDaemon daemon(config);
    ASSERT_TRUE(daemon.started().ok()) << daemon.started();
    v1::CreateNetworkRequest create;
    create.set_network_id("lab");
    create.mutable_network()->set_default_policy(v1::Network::DENY);
    create.mutable_network()->mutable_quota()->mutable_connects_per_second()->set_rate(7);
    v1::Network network;
    ASSERT_TRUE(Ask(daemon, &Stub::CreateNetwork, create, &network).ok());
    v1::CreatePolicyRequest open = Deny("open", "networks/lab");
    open.mutable_policy()->set_allow(true);
    open.mutable_policy()->add_ports()->set_first(22);
    v1::Policy policy;
    ASSERT_TRUE(Ask(daemon, &Stub::CreatePolicy, open, &policy).ok());
    uid = policy.uid();
    ASSERT_TRUE(Ask(daemon, &Stub::CreatePolicy, Deny("gone", "networks/lab"), &policy).ok());
    v1::DeletePolicyRequest remove;
    remove.set_name("networks/lab/policies/gone");
    ASSERT_TRUE(Ask(daemon, &Stub::DeletePolicy, remove, &policy).ok());
    for (const auto& [id, in] : {std::pair("a", ""), std::pair("b", "networks/lab"), std::pair("c", "networks/lab")}) {
      v1::CreateVmRequest request;
      request.set_vm_id(id);
      request.mutable_vm()->mutable_spec()->set_network(in);
      if (std::string(id) != "c") request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(42);
      ASSERT_TRUE(daemon.Create(request).ok()) << id;
    }
    v1::ReserveCidRequest reserve;
    reserve.set_parent("networks/lab");
    reserve.mutable_cid()->set_static_cid(50);
    v1::CidLease lease;
    ASSERT_TRUE(Ask(daemon, &Stub::ReserveCid, reserve, &lease).ok());
    v1::DeleteVmRequest remove_vm;
    remove_vm.set_name("vms/c");
    remove_vm.set_keep_cid(true);
    ASSERT_TRUE(daemon.Delete(remove_vm).ok());
  }
  RunningDaemon daemon(config);
  ASSERT_TRUE(daemon.started().ok()) << daemon.started();
  v1::Vm vm;
  for (const char* name : {"vms/a", "vms/b"}) {
    ASSERT_TRUE(daemon.Get(name, &vm).ok());
    EXPECT_EQ(vm.status().cid(), 42u);
    EXPECT_EQ(vm.status().state(), v1::VmStatus::LISTENING);
  }
  EXPECT_EQ(vm.spec().network(), "networks/lab");
  v1::GetNetworkRequest get;
  get.set_name("networks/lab");
  v1::Network lab;
  ASSERT_TRUE(Ask(daemon, &Stub::GetNetwork, get, &lab).ok());
  EXPECT_EQ(lab.quota().connects_per_second().rate(), 7u);
  v1::ListPoliciesRequest list;
  list.set_parent("networks/lab");
  v1::ListPoliciesResponse policies;
  ASSERT_TRUE(Ask(daemon, &Stub::ListPolicies, list, &policies).ok());
  ASSERT_EQ(policies.policies_size(), 1);
  EXPECT_EQ(policies.policies(0).uid(), uid);
  EXPECT_EQ(policies.policies(0).ports(0).last(), 22u);
  v1::TestPolicyRequest test;
  test.set_from("host");
  test.set_to("vms/b");
  test.set_port(22);
  v1::TestPolicyResponse verdict;
  ASSERT_TRUE(Ask(daemon, &Stub::TestPolicy, test, &verdict).ok());
  EXPECT_EQ(verdict.policy(), "networks/lab/policies/open");
  test.set_port(23);
  ASSERT_TRUE(Ask(daemon, &Stub::TestPolicy, test, &verdict).ok());
  EXPECT_FALSE(verdict.allowed());
  EXPECT_EQ(verdict.default_policy(), v1::Network::DENY);
  v1::ListCidsRequest list_cids;
  list_cids.set_parent("networks/lab");
  v1::ListCidsResponse cids;
  ASSERT_TRUE(Ask(daemon, &Stub::ListCids, list_cids, &cids).ok());
  ASSERT_EQ(cids.cids_size(), 3);
  EXPECT_EQ(cids.cids(0).state(), v1::CidLease::ALLOCATED);
  EXPECT_EQ(cids.cids(1).cid(), 50u);
  EXPECT_EQ(cids.cids(1).state(), v1::CidLease::RESERVED);
  EXPECT_EQ(cids.cids(2).holder(), "vms/c");
  EXPECT_EQ(cids.cids(2).state(), v1::CidLease::RESERVED);
}

}  // namespace
}  // namespace kinsock
