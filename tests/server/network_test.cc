// SPDX-License-Identifier: Apache-2.0
//
// Networks, their policies and their quota, as clients of the API see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/network_fixture.h"

namespace kinsock {
namespace {

using testing::Ask;
using testing::Deny;
using ::testing::ElementsAre;
using testing::Info;
using testing::Reason;

using NetworkTest = testing::NetworkFixture;

TEST_F(NetworkTest, TheDefaultNetworkIsThere) {
  v1::GetNetworkRequest request;
  request.set_name("networks/default");
  v1::Network network;
  ASSERT_TRUE(Ask(daemon_, &Stub::GetNetwork, request, &network).ok());
  EXPECT_EQ(network.default_policy(), v1::Network::SHARED_GROUP);
  EXPECT_EQ(network.cid_range().first(), 1024u);
  EXPECT_EQ(network.quarantine().seconds(), 60);
  v1::DeleteNetworkRequest remove;
  remove.set_name("networks/default");
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeleteNetwork, remove, &network)), "NETWORK_IN_USE");
}

TEST_F(NetworkTest, TheSameCidInTwoNetworksIsTwoMachines) {
  ASSERT_TRUE(Create("lab").ok());
  ASSERT_TRUE(CreateVm("here", "", 42).ok());
  ASSERT_TRUE(CreateVm("there", "networks/lab", 42).ok());
  EXPECT_EQ(Reason(CreateVm("again", "networks/lab", 42)), "CID_IN_USE");
  EXPECT_EQ(Reason(CreateVm("nowhere", "networks/none", 42)), "NETWORK_NOT_FOUND");
  ASSERT_TRUE(CreateVm("target", "networks/lab", 43).ok());
  PowerOn("here", a_);
  PowerOn("target", b_);
  b_.Listen(80);
  testing::Stream call = a_.Connect(43, 80);
  ASSERT_TRUE(stage_.RunUntil([&] { return call.closed(); }));
  EXPECT_TRUE(call.was_reset());
  EXPECT_EQ(b_.received_packets(), 0u);
}

TEST_F(NetworkTest, ANetworkWithVmsStays) {
  ASSERT_TRUE(Create("lab").ok());
  ASSERT_TRUE(CreateVm("a", "networks/lab", 0).ok());
  v1::DeleteNetworkRequest remove;
  remove.set_name("networks/lab");
  remove.set_force(true);
  v1::Network network;
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeleteNetwork, remove, &network)), "NETWORK_IN_USE");
  ASSERT_TRUE(daemon_.Delete("a").ok());
  ASSERT_TRUE(CreatePolicy(Deny("p", "networks/lab")).ok());
  remove.set_force(false);
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeleteNetwork, remove, &network)), "NETWORK_IN_USE");
  remove.set_force(true);
  ASSERT_TRUE(Ask(daemon_, &Stub::DeleteNetwork, remove, &network).ok());
  EXPECT_EQ(network.policies(), 1u);
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeleteNetwork, remove, &network)), "NETWORK_NOT_FOUND");
  remove.set_allow_missing(true);
  EXPECT_TRUE(Ask(daemon_, &Stub::DeleteNetwork, remove, &network).ok());
}

TEST_F(NetworkTest, APolicyHoldsFromTheNextCallOnAndIsCounted) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  b_.Listen(80);
  testing::Stream before = a_.Connect(4, 80);
  ASSERT_TRUE(stage_.RunUntil([&] { return before.established(); }));

  v1::CreatePolicyRequest closed = Deny("closed");
  closed.mutable_policy()->mutable_to()->set_vm("vms/b");
  closed.mutable_policy()->add_ports()->set_first(80);
  ASSERT_TRUE(CreatePolicy(closed).ok());
  testing::Stream call = a_.Connect(4, 80);
  ASSERT_TRUE(stage_.RunUntil([&] { return call.closed(); }));
  EXPECT_TRUE(call.was_reset());
  EXPECT_EQ(GetPolicy("closed").hits(), 1u);
  EXPECT_TRUE(before.established());

  // Now the ones that exist, too.
  v1::UpdatePolicyRequest update;
  update.mutable_policy()->set_name("networks/default/policies/closed");
  update.mutable_policy()->set_reset_existing(true);
  update.mutable_update_mask()->add_paths("reset_existing");
  v1::Policy policy;
  ASSERT_TRUE(Ask(daemon_, &Stub::UpdatePolicy, update, &policy).ok());
  EXPECT_EQ(policy.generation(), 2);
  EXPECT_EQ(policy.to().vm(), "vms/b") << "what the mask does not name stays";
  EXPECT_EQ(policy.hits(), 1u);
  ASSERT_TRUE(stage_.RunUntil([&] { return before.closed(); }));
}

TEST_F(NetworkTest, TestPolicySaysWhichOneDecides) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  ASSERT_TRUE(daemon_.Create("b", 4).ok());
  v1::TestPolicyResponse answer = Test("vms/a", "vms/b", 80);
  EXPECT_TRUE(answer.allowed());
  EXPECT_EQ(answer.policy(), "");
  EXPECT_EQ(answer.default_policy(), v1::Network::SHARED_GROUP);

  v1::CreatePolicyRequest low = Deny("low"), exception = Deny("exception");
  low.mutable_policy()->mutable_to()->set_host(true);
  v1::Policy::PortRange& ports = *low.mutable_policy()->add_ports();
  ports.set_first(1);
  ports.set_last(1023);
  exception.mutable_policy()->set_priority(-1);
  exception.mutable_policy()->set_allow(true);
  exception.mutable_policy()->mutable_from()->mutable_cid_range()->set_first(3);
  exception.mutable_policy()->mutable_from()->mutable_cid_range()->set_last(3);
  ASSERT_TRUE(CreatePolicy(low).ok());
  ASSERT_TRUE(CreatePolicy(exception).ok());
  EXPECT_EQ(Test("vms/a", "host", 80).policy(), "networks/default/policies/exception");
  answer = Test("vms/b", "host", 80);
  EXPECT_FALSE(answer.allowed());
  EXPECT_EQ(answer.policy(), "networks/default/policies/low");
  EXPECT_TRUE(Test("vms/b", "host", 1024).allowed());
  EXPECT_EQ(GetPolicy("low").hits(), 0u) << "asking is not connecting";
}

TEST_F(NetworkTest, ATestOfWhatCannotBeIsRefused) {
  ASSERT_TRUE(Create("lab").ok());
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  ASSERT_TRUE(CreateVm("far", "networks/lab", 4).ok());
  v1::TestPolicyResponse response;
  for (const auto& [from, to, field] : std::vector<std::array<const char*, 3>>{
           {"host", "host", "to"}, {"vms/a", "b", "to"}, {"a", "vms/a", "from"}, {"vms/a", "vms/far", "to"}}) {
    v1::TestPolicyRequest request;
    request.set_from(from);
    request.set_to(to);
    EXPECT_THAT(Fields(Ask(daemon_, &Stub::TestPolicy, request, &response)), ElementsAre(field)) << from << " " << to;
  }
  v1::TestPolicyRequest request;
  request.set_from("vms/a");
  request.set_to("vms/nobody");
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::TestPolicy, request, &response)), "VM_NOT_FOUND");
}

TEST_F(NetworkTest, AllBadFieldsAreNamed) {
  v1::CreatePolicyRequest request = Deny("Bad Id");
  v1::Policy& policy = *request.mutable_policy();
  policy.set_priority(2'000'000);
  policy.mutable_from()->set_host(true);
  policy.mutable_from()->set_vm("web");
  (*policy.mutable_to()->mutable_labels())["a b"] = "c";
  policy.mutable_to()->mutable_cid_range()->set_first(0);
  policy.mutable_to()->mutable_cid_range()->set_last(9);
  v1::Policy::PortRange& ports = *policy.add_ports();
  ports.set_first(9);
  ports.set_last(8);
  EXPECT_THAT(Fields(CreatePolicy(request)),
              ElementsAre("policy_id", "policy.priority", "policy.from.host", "policy.from.vm",
                          "policy.to.cid_range.first", "policy.to.labels", "policy.ports[0]"));

  v1::Network network;
  network.mutable_cid_range()->set_first(9);
  network.mutable_cid_range()->set_last(3);
  network.mutable_quarantine()->set_seconds(100'000);
  EXPECT_THAT(Fields(Create("lab", nullptr, network)), ElementsAre("network.cid_range", "network.quarantine"));

  v1::UpdateNetworkRequest update;
  update.mutable_network()->set_name("networks/default");
  update.mutable_update_mask()->add_paths("uid");
  EXPECT_THAT(Fields(Ask(daemon_, &Stub::UpdateNetwork, update, &network)), ElementsAre("update_mask"));
}

TEST_F(NetworkTest, ARepetitionGetsTheFirstAnswer) {
  v1::CreatePolicyRequest request = Deny("p");
  request.set_request_id("one");
  v1::Policy first, second;
  ASSERT_TRUE(CreatePolicy(request, &first).ok());
  ASSERT_TRUE(CreatePolicy(request, &second).ok());
  EXPECT_EQ(first.uid(), second.uid());
  request.mutable_policy()->set_allow(true);
  EXPECT_EQ(Reason(CreatePolicy(request)), "REQUEST_ID_REUSED");
  request.set_request_id("");
  EXPECT_EQ(Reason(CreatePolicy(request)), "POLICY_EXISTS");
}

TEST_F(NetworkTest, AStaleEtagIsRefusedAndValidateOnlyChangesNothing) {
  v1::Policy made;
  ASSERT_TRUE(CreatePolicy(Deny("p"), &made).ok());
  v1::UpdatePolicyRequest update;
  update.mutable_policy()->set_name(made.name());
  update.mutable_policy()->set_priority(7);
  update.mutable_update_mask()->add_paths("priority");
  update.set_etag(made.etag());
  update.set_validate_only(true);
  v1::Policy changed;
  ASSERT_TRUE(Ask(daemon_, &Stub::UpdatePolicy, update, &changed).ok());
  EXPECT_EQ(changed.priority(), 7);
  EXPECT_EQ(GetPolicy("p").priority(), 0);
  update.set_validate_only(false);
  ASSERT_TRUE(Ask(daemon_, &Stub::UpdatePolicy, update, &changed).ok());
  update.mutable_policy()->set_priority(8);
  const grpc::Status stale = Ask(daemon_, &Stub::UpdatePolicy, update, &changed);
  EXPECT_EQ(Reason(stale), "ETAG_MISMATCH");
  EXPECT_EQ(Info(stale).metadata().at("current"), changed.etag());
  v1::DeletePolicyRequest remove;
  remove.set_name(made.name());
  remove.set_etag(made.etag());
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeletePolicy, remove, &changed)), "ETAG_MISMATCH");
  remove.set_etag("");
  EXPECT_TRUE(Ask(daemon_, &Stub::DeletePolicy, remove, &changed).ok());
  EXPECT_EQ(Reason(Ask(daemon_, &Stub::DeletePolicy, remove, &changed)), "POLICY_NOT_FOUND");
}

TEST_F(NetworkTest, AListComesInPages) {
  for (const char* id : {"c", "a", "b"}) ASSERT_TRUE(CreatePolicy(Deny(id)).ok());
  v1::ListPoliciesRequest request;
  request.set_parent("networks/default");
  request.set_page_size(2);
  v1::ListPoliciesResponse page;
  ASSERT_TRUE(Ask(daemon_, &Stub::ListPolicies, request, &page).ok());
  ASSERT_EQ(page.policies_size(), 2);
  EXPECT_EQ(page.policies(1).name(), "networks/default/policies/b");
  request.set_page_token(page.next_page_token());
  page.Clear();
  ASSERT_TRUE(Ask(daemon_, &Stub::ListPolicies, request, &page).ok());
  ASSERT_EQ(page.policies_size(), 1);
  EXPECT_EQ(page.next_page_token(), "");
}

// --- What its VMs may take ---

TEST_F(NetworkTest, TheQuotaOfANetworkHoldsForEachOfItsVmsAndTheSmallestWins) {
  v1::Network wanted;
  wanted.mutable_quota()->set_max_connections(2);
  v1::Network made;
  ASSERT_TRUE(Create("lab", &made, wanted).ok());
  EXPECT_EQ(made.quota().max_connections(), 2u);
  ASSERT_TRUE(CreateVm("a", "networks/lab", 40).ok());
  ASSERT_TRUE(CreateVm("b", "networks/lab", 41).ok());
  PowerOn("a", a_);
  PowerOn("b", b_);
  b_.Listen(80);
  std::vector<testing::Stream> calls;
  const auto established_of = [&](int more) {
    int established = 0;
    for (int i = 0; i < more; ++i) {
      calls.push_back(a_.Connect(41, 80));
      EXPECT_TRUE(stage_.RunUntil([&] { return !calls.back().connecting(); }));
      established += calls.back().established() ? 1 : 0;
    }
    return established;
  };
  EXPECT_EQ(established_of(4), 2);

  v1::UpdateNetworkRequest update;
  update.mutable_network()->set_name("networks/lab");
  update.mutable_network()->mutable_quota()->set_max_connections(5);
  update.mutable_update_mask()->add_paths("quota.max_connections");
  v1::Network changed;
  ASSERT_TRUE(Ask(daemon_, &Stub::UpdateNetwork, update, &changed).ok());
  EXPECT_EQ(changed.quota().max_connections(), 5u);
  EXPECT_EQ(established_of(4), 3) << "it holds for a VM that exists, as soon as the call returns";

  v1::UpdateVmRequest own;
  own.mutable_vm()->set_name("vms/a");
  own.mutable_vm()->mutable_spec()->mutable_quota()->set_max_connections(6);
  own.mutable_update_mask()->add_paths("spec.quota");
  v1::Vm vm;
  ASSERT_TRUE(Call(&v1::VmService::Stub::UpdateVm, own, &vm).ok());
  EXPECT_EQ(established_of(1), 0) << "the network says less";

  update.mutable_network()->clear_quota();
  ASSERT_TRUE(Ask(daemon_, &Stub::UpdateNetwork, update, &changed).ok());
  EXPECT_FALSE(changed.has_quota());
  EXPECT_EQ(established_of(3), 1) << "now the VM says less";
}

TEST_F(NetworkTest, AQuotaThatMakesNoSenseIsRefused) {
  v1::Network wanted;
  wanted.mutable_quota()->mutable_bytes_to_guest()->set_rate(1);
  wanted.mutable_quota()->set_max_pending_connections(5000);
  EXPECT_THAT(Fields(Create("lab", nullptr, wanted)),
              ElementsAre("network.quota.max_pending_connections", "network.quota.bytes_to_guest.rate"));
  v1::UpdateNetworkRequest update;
  update.mutable_network()->set_name("networks/default");
  update.mutable_update_mask()->add_paths("quota.bytes");
  v1::Network network;
  EXPECT_THAT(Fields(Ask(daemon_, &Stub::UpdateNetwork, update, &network)), ElementsAre("update_mask"));
}

}  // namespace
}  // namespace kinsock
