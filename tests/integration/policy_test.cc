// SPDX-License-Identifier: Apache-2.0
//
// Who may connect to whom, and where a network ends.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/hybrid_fixture.h"

namespace kinsock::testing {
namespace {

using ::testing::SizeIs;

constexpr NetworkId kOtherNetwork = 7;

class PolicyTest : public HybridTest {
 protected:
  // A policy that is about everybody, until the test says more.
  std::shared_ptr<Policy> NewPolicy(std::string name, bool allow) {
    auto policy = std::make_shared<Policy>();
    policy->name = std::move(name);
    policy->allow = allow;
    return policy;
  }

  void SetPolicies(std::vector<std::shared_ptr<const Policy>> policies,
                   DefaultPolicy otherwise = DefaultPolicy::kSharedGroup) {
    backend().SetPolicies(kDefaultNetwork, otherwise, std::move(policies));
  }

  static Backend::VmOptions Labelled(std::string tier) {
    Backend::VmOptions options;
    options.labels = {{"tier", std::move(tier)}};
    return options;
  }

  // Nobody listens anywhere: a call that is let through is answered by its target, which sees a packet.
  void ExpectDenied(SimulatedGuest& from, uint64_t to, Port port = 80) {
    Stream call = from.Connect(to, port);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
  }

  void ExpectHostDenied(SimulatedGuest& guest, Port port = 80) {
    HybridClient program(stage(), uds_path(static_cast<Cid>(guest.cid())));
    program.Connect(port);
    RunUntil([&] { return program.at_eof(); });
    EXPECT_FALSE(program.ok_port().has_value());
  }

  uint64_t Denied(SimulatedGuest& guest, Direction direction) {
    const DeviceTotals totals = stats(static_cast<Cid>(guest.cid()));
    return totals.guest_port.connects[static_cast<size_t>(direction)][static_cast<size_t>(CloseReason::kPolicyDenied)];
  }
};

TEST_F(PolicyTest, ADeniedCallIsResetAndItsTargetSeesNothing) {
  SimulatedGuest& web = Boot(Cid(3), {}, Labelled("web"));
  SimulatedGuest& app = Boot(Cid(4), {}, Labelled("app"));
  SimulatedGuest& db = Boot(Cid(5), {}, Labelled("db"));
  auto closed = NewPolicy("closed", false);
  closed->from.labels = {{"tier", "web"}};
  closed->to.labels = {{"tier", "db"}};
  SetPolicies({closed});

  db.Listen(Port(80));
  ExpectDenied(web, db.cid());
  EXPECT_EQ(db.received_packets(), 0u);
  EXPECT_EQ(closed->hits->value(), 1u);
  EXPECT_EQ(Denied(web, Direction::kOut), 1u);
  Connect(web, app);
  Connect(app, db);
  Connect(db, web);  // a policy has a direction
  EXPECT_EQ(closed->hits->value(), 1u);
}

TEST_F(PolicyTest, APolicyAllowsWhatNoGroupDoes) {
  Backend::VmOptions left = Labelled("web"), right = Labelled("db");
  left.groups = {"left"};
  right.groups = {"right"};
  SimulatedGuest& web = Boot(Cid(3), {}, left);
  SimulatedGuest& db = Boot(Cid(4), {}, right);
  auto open = NewPolicy("open", true);
  open->from.labels = {{"tier", "web"}};
  open->ports = {{5432, 5432}};
  SetPolicies({open});
  Connect(web, db, Port(5432));
  ExpectDenied(web, db.cid(), Port(5433));
  ExpectDenied(db, web.cid(), Port(5432));
}

TEST_F(PolicyTest, OtherLabelsCountFromTheNextCallOn) {
  SimulatedGuest& web = Boot(Cid(3), {}, Labelled("web"));
  SimulatedGuest& db = Boot(Cid(4), {}, Labelled("db"));
  auto closed = NewPolicy("closed", false);
  closed->to.labels = {{"tier", "db"}};
  SetPolicies({closed});
  ExpectDenied(web, db.cid());
  backend().SetIdentity(vm(4), {"default"}, {{"tier", "app"}});
  const Pair pair = Connect(web, db);
  backend().SetIdentity(vm(4), {"default"}, {{"tier", "db"}});
  ExpectDenied(web, db.cid());
  EXPECT_TRUE(pair.client.established());
}

TEST_F(PolicyTest, TheHostIsASubjectInBothDirections) {
  SimulatedGuest& guest = Boot(Cid(3));
  SimulatedGuest& sibling = Boot(Cid(4));
  auto from_host = NewPolicy("from-host", false);
  from_host->from.host = true;
  from_host->to.cids = CidSpan{3, 3};
  auto to_host = NewPolicy("to-host", false);
  to_host->to.host = true;
  to_host->ports = {{1, 1023}};
  SetPolicies({from_host, to_host});

  ExpectHostDenied(guest);
  EXPECT_EQ(guest.received_packets(), 0u);
  EXPECT_EQ(Denied(guest, Direction::kIn), 1u);
  EXPECT_EQ(from_host->hits->value(), 1u);
  ConnectFromHost(sibling);

  HybridListener low(uds_path(3), Port(1023));
  ExpectDenied(guest, 2, Port(1023));
  EXPECT_FALSE(low.TryAccept().has_value());
  EXPECT_EQ(to_host->hits->value(), 1u);
  ConnectToHost(guest, Port(1024));
}

TEST_F(PolicyTest, NothingGoesWhereTheDefaultIsToDeny) {
  SimulatedGuest& one = Boot(Cid(3));
  SimulatedGuest& other = Boot(Cid(4));
  SetPolicies({}, DefaultPolicy::kDeny);
  ExpectDenied(one, other.cid());
  ExpectHostDenied(one);
  SetPolicies({}, DefaultPolicy::kAllow);
  Connect(one, other);
  ConnectFromHost(one, Port(81));
}

TEST_F(PolicyTest, WhatExistsGoesOnUnlessThePolicySaysOtherwise) {
  SimulatedGuest& one = Boot(Cid(3));
  SimulatedGuest& other = Boot(Cid(4));
  auto [client, server] = Connect(one, other);
  HostPair host = ConnectFromHost(one, Port(81));
  auto closed = NewPolicy("closed", false);
  SetPolicies({closed});
  client.Send("still here");
  RunUntil([&, s = server] { return s.Received() == "still here"; });

  auto cut = NewPolicy("cut", false);
  cut->reset_existing = true;
  cut->to.cids = CidSpan{4, 4};
  cut->priority = -1;
  SetPolicies({closed, cut});
  RunUntil([&, c = client, s = server] { return c.closed() && s.closed(); });
  EXPECT_TRUE(client.was_reset());
  EXPECT_TRUE(server.was_reset());
  Exchange(host, 1, 1000);  // nobody meant this one
  EXPECT_THAT(switch_flows(), SizeIs(1));

  auto all = NewPolicy("all", false);
  all->reset_existing = true;
  all->priority = -2;
  SetPolicies({closed, cut, all});
  RunUntil([&] { return (host.program->at_eof() || host.program->broken()) && host.guest.closed(); });
  AwaitNoFlows();
}

TEST_F(PolicyTest, APermissionThatGoesTakesItsConnectionsAlong) {
  Backend::VmOptions left, right;
  left.groups = {"left"};
  right.groups = {"right"};
  SimulatedGuest& one = Boot(Cid(3), {}, left);
  SimulatedGuest& other = Boot(Cid(4), {}, right);
  auto open = NewPolicy("open", true);
  open->reset_existing = true;
  SetPolicies({open});
  auto [client, server] = Connect(one, other);
  SetPolicies({});
  RunUntil([&, c = client, s = server] { return c.closed() && s.closed(); });
  AwaitNoFlows();
}

TEST_F(PolicyTest, ACidIsOneOfItsNetwork) {
  SimulatedGuest& here = Boot(Cid(3));
  SimulatedGuest& near = Boot(Cid(4));
  Backend::VmOptions elsewhere;
  elsewhere.network = kOtherNetwork;
  const auto boot_elsewhere = [&](Cid cid) -> SimulatedGuest& {
    const absl::StatusOr<Backend::Vm> vm = backend().AddVm(cid, elsewhere);
    EXPECT_TRUE(vm.ok()) << vm.status();
    SimulatedGuest& guest = NewGuest();
    EXPECT_TRUE(guest.PowerOn(vm->vhost_user_socket).ok());
    RunUntil([&] { return backend().Status(*vm).state == DeviceState::kActive; });
    return guest;
  };
  SimulatedGuest& there = boot_elsewhere(3);
  SimulatedGuest& far = boot_elsewhere(4);

  auto [client, server] = Connect(here, near, Port(80));
  auto [other_client, other_server] = Connect(there, far, Port(80));
  client.Send("here");
  other_client.Send("there");
  RunUntil([&, s = server, o = other_server] { return s.Received() == "here" && o.Received() == "there"; });

  // Who is only there cannot be reached from here, and its name says nothing.
  SimulatedGuest& alone = boot_elsewhere(5);
  alone.Listen(Port(80));
  ExpectDenied(here, 5);
  EXPECT_EQ(alone.received_packets(), 0u);

  // Policies of one are not those of the other.
  backend().SetPolicies(kOtherNetwork, DefaultPolicy::kDeny, {});
  ExpectDenied(there, 4, Port(81));
  Connect(here, near, Port(82));
}

TEST_F(PolicyTest, AVmThatComesLaterIsSeenByThePoliciesThatAreThere) {
  SimulatedGuest& web = Boot(Cid(3), {}, Labelled("web"));
  auto closed = NewPolicy("closed", false);
  closed->to.labels = {{"tier", "db"}};
  SetPolicies({closed});
  SimulatedGuest& db = Boot(Cid(4), {}, Labelled("db"));
  SimulatedGuest& app = Boot(Cid(5), {}, Labelled("app"));
  ExpectDenied(web, db.cid());
  Connect(web, app);
  EXPECT_THAT(switch_flows(), SizeIs(1));
}

}  // namespace
}  // namespace kinsock::testing
