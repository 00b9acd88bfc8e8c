// SPDX-License-Identifier: Apache-2.0
//
// Networks, policies and CIDs, as clients of the API see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/vm_fixture.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Info;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;

// Calls of NetworkService, with a deadline.
template <typename Request, typename Response>
grpc::Status Ask(RunningDaemon& daemon,
                 grpc::Status (v1::NetworkService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                 const Request& request, Response* response) {
  grpc::ClientContext context;
  testing::SetDeadline(context);
  return (daemon.networks().*method)(&context, request, response);
}

using Stub = v1::NetworkService::Stub;

v1::CreatePolicyRequest Deny(const std::string& id, const std::string& network = "networks/default") {
  v1::CreatePolicyRequest request;
  request.set_parent(network);
  request.set_policy_id(id);
  return request;
}

class NetworkTest : public testing::VmFixture {
 protected:
  grpc::Status Create(const std::string& id, v1::Network* network = nullptr, v1::Network wanted = {}) {
    v1::CreateNetworkRequest request;
    request.set_network_id(id);
    *request.mutable_network() = std::move(wanted);
    v1::Network ignored;
    return Ask(daemon_, &Stub::CreateNetwork, request, network != nullptr ? network : &ignored);
  }
  grpc::Status CreatePolicy(const v1::CreatePolicyRequest& request, v1::Policy* policy = nullptr) {
    v1::Policy ignored;
    return Ask(daemon_, &Stub::CreatePolicy, request, policy != nullptr ? policy : &ignored);
  }
  v1::Policy GetPolicy(const std::string& id) {
    v1::GetPolicyRequest request;
    request.set_name("networks/default/policies/" + id);
    v1::Policy policy;
    EXPECT_TRUE(Ask(daemon_, &Stub::GetPolicy, request, &policy).ok());
    return policy;
  }
  grpc::Status CreateVm(const std::string& id, const std::string& network, uint32_t cid, v1::Vm* vm = nullptr) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->set_network(network);
    if (cid != 0) request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    return daemon_.Create(request, vm);
  }
  v1::TestPolicyResponse Test(const std::string& from, const std::string& to, uint32_t port) {
    v1::TestPolicyRequest request;
    request.set_from(from);
    request.set_to(to);
    request.set_port(port);
    v1::TestPolicyResponse response;
    const grpc::Status status = Ask(daemon_, &Stub::TestPolicy, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::vector<v1::CidLease> Cids(const std::string& network = "networks/default") {
    v1::ListCidsRequest request;
    request.set_parent(network);
    v1::ListCidsResponse response;
    EXPECT_TRUE(Ask(daemon_, &Stub::ListCids, request, &response).ok());
    return {response.cids().begin(), response.cids().end()};
  }
  grpc::Status Reserve(uint32_t cid, v1::CidLease* lease, const std::string& holder = "tests") {
    v1::ReserveCidRequest request;
    request.set_parent("networks/default");
    if (cid != 0) request.mutable_cid()->set_static_cid(cid);
    request.set_holder(holder);
    return Ask(daemon_, &Stub::ReserveCid, request, lease);
  }
  grpc::Status Release(const std::string& name, bool force = false) {
    v1::ReleaseCidRequest request;
    request.set_name(name);
    request.set_force(force);
    google::protobuf::Empty nothing;
    return Ask(daemon_, &Stub::ReleaseCid, request, &nothing);
  }
};

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

// --- CIDs ---

TEST_F(NetworkTest, ACidThatIsNotFreeSaysWhy) {
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

TEST_F(NetworkTest, AReservationIsForTheOneWhoNamesIt) {
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

TEST_F(NetworkTest, WhatNobodyUsedIsFreeAtOnceAndTheRestRests) {
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

TEST_F(NetworkTest, AKeptCidWaitsForTheVmOfItsName) {
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

TEST_F(NetworkTest, AStickyVmComesBackToItsCid) {
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

TEST_F(NetworkTest, TheDaemonChoosesWhereTheNetworkSays) {
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

// --- What outlives the daemon ---

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
