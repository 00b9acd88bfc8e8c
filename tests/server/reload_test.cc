// SPDX-License-Identifier: Apache-2.0
//
// A configuration file that changes while the daemon runs: what becomes what it says, what is refused, and what is left
// alone. AdminService.Reload, DumpConfig, and whose an object is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/file_daemon.h"
#include "tests/server/forward_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::Changes;
using ::testing::ElementsAre;
using testing::FileDaemon;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Reason;
using testing::SetDeadline;
using ::testing::UnorderedElementsAre;

grpc::Status Update(FileDaemon& daemon, const std::string& id, const std::string& label) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::UpdateVmRequest request;
  request.mutable_vm()->set_name("vms/" + id);
  (*request.mutable_vm()->mutable_labels())["tier"] = label;
  v1::Vm vm;
  return daemon->vms().UpdateVm(&context, request, &vm);
}

grpc::Status Apply(FileDaemon& daemon, const v1::Vm& vm, bool force_conflicts) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ApplyVmRequest request;
  request.set_vm_id(vm.name().substr(4));
  *request.mutable_vm() = vm;
  request.set_force_conflicts(force_conflicts);
  v1::Vm answer;
  return daemon->vms().ApplyVm(&context, request, &answer);
}

v1::Network GetNetwork(FileDaemon& daemon, const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetNetworkRequest request;
  request.set_name("networks/" + id);
  v1::Network network;
  daemon->networks().GetNetwork(&context, request, &network);
  return network;
}

v1::Policy GetPolicy(FileDaemon& daemon, const std::string& name) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetPolicyRequest request;
  request.set_name(name);
  v1::Policy policy;
  daemon->networks().GetPolicy(&context, request, &policy);
  return policy;
}

grpc::Status CreateNetwork(FileDaemon& daemon, const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CreateNetworkRequest request;
  request.set_network_id(id);
  v1::Network network;
  return daemon->networks().CreateNetwork(&context, request, &network);
}

TEST(ReloadTest, WhatIsTheFilesBecomesWhatItSaysAndTheRestIsLeftAlone) {
  FileDaemon daemon(R"(
networks: [{name: lab, quarantine: 60s}, {name: old}]
policies: [{name: p, network: lab, allow: false}, {name: q, allow: true}]
vms:
- {name: same, guest_cid: 3}
- {name: changed, guest_cid: 4, network: lab}
- {name: gone, guest_cid: 5}
)");
  ASSERT_TRUE(daemon->Create("mine", 50).ok());
  const v1::Vm same = daemon.Get("same"), mine = daemon.Get("mine"), changed = daemon.Get("changed");
  const std::string socket = daemon.Get("gone").status().vhost_user_socket();
  EXPECT_EQ(same.managed_by(), "file");
  EXPECT_EQ(mine.managed_by(), "api");

  const v1::ReloadResponse response = daemon.Reload(absl::StrCat(R"(
networks: [{name: lab, quarantine: 90s}, {name: fresh}]
policies: [{name: p, network: lab, allow: true}, {name: r, network: fresh, allow: true}]
vms:
- {name: same, guest_cid: 3}
- {name: changed, guest_cid: 4, network: lab, labels: {tier: web}, groups: [a], orphan_ttl: 10m}
- {name: new, guest_cid: 5, socket: )",
                                                                 daemon / "new.sock", R"(}
- {name: newer, guest_cid: auto, network: fresh}
)"));
  EXPECT_TRUE(response.applied());
  EXPECT_EQ(response.file(), daemon.file());
  EXPECT_THAT(response.problems(), IsEmpty());
  EXPECT_THAT(response.restart_required(), IsEmpty());
  EXPECT_THAT(Changes(response),
              UnorderedElementsAre("update networks/lab", "create networks/fresh", "delete networks/old",
                                   "update networks/lab/policies/p", "create networks/fresh/policies/r",
                                   "delete networks/default/policies/q", "update vms/changed", "create vms/new",
                                   "create vms/newer", "delete vms/gone"));
  EXPECT_EQ(response.unchanged(), 1u);

  EXPECT_EQ(daemon.Get("same").resource_version(), same.resource_version());
  EXPECT_EQ(daemon.Get("mine").resource_version(), mine.resource_version());
  const v1::Vm now = daemon.Get("changed");
  EXPECT_EQ(now.uid(), changed.uid());
  EXPECT_EQ(now.generation(), 2);
  EXPECT_EQ(now.status().observed_generation(), 2);
  EXPECT_EQ(now.labels().at("tier"), "web");
  EXPECT_EQ(now.spec().orphan_ttl().seconds(), 600);
  EXPECT_EQ(daemon.Get("new").status().cid(), 5u) << "that of the one which is gone, at once";
  EXPECT_EQ(daemon.Get("new").status().vhost_user_socket(), daemon / "new.sock");
  EXPECT_EQ(daemon.Get("new").managed_by(), "file");
  EXPECT_EQ(Reason(daemon->Get("vms/gone")), "VM_NOT_FOUND");
  EXPECT_EQ(GetNetwork(daemon, "lab").quarantine().seconds(), 90);
  EXPECT_EQ(GetNetwork(daemon, "lab").managed_by(), "file");
  EXPECT_EQ(GetNetwork(daemon, "fresh").vms(), 1u);
  EXPECT_EQ(GetNetwork(daemon, "old").name(), "");
  EXPECT_TRUE(GetPolicy(daemon, "networks/lab/policies/p").allow());
  EXPECT_EQ(GetPolicy(daemon, "networks/lab/policies/p").managed_by(), "file");

  v1::ReloadResponse again;
  ASSERT_TRUE(daemon.Reload({}, again).ok());
  EXPECT_TRUE(again.applied());
  EXPECT_THAT(Changes(again), IsEmpty());
  EXPECT_EQ(again.unchanged(), 8u);
}

TEST(ReloadTest, AWrongFileChangesNothingAndIsToldWithItsPlaces) {
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}]\n");
  const v1::Vm before = daemon.Get("a");
  const v1::ReloadResponse response = daemon.Reload("vms:\n- {name: b, guest_cid: 4}\n- {nam: c, guest_cid: 2}\n");
  EXPECT_FALSE(response.applied());
  ASSERT_EQ(response.problems_size(), 1);
  EXPECT_EQ(response.problems(0).place(), daemon.file() + ":3:4");
  EXPECT_EQ(response.problems(0).field(), "vms[1].nam");
  EXPECT_THAT(response.problems(0).message(), HasSubstr("did you mean \"name\""));
  EXPECT_THAT(Changes(response), IsEmpty());
  EXPECT_EQ(daemon.Get("a").resource_version(), before.resource_version());
  EXPECT_EQ(Reason(daemon->Get("vms/b")), "VM_NOT_FOUND");

  const v1::ReloadResponse clash = daemon.Reload("vms: [{name: b, guest_cid: 4}, {name: c, guest_cid: 4}]\n");
  EXPECT_FALSE(clash.applied());
  EXPECT_THAT(clash.problems(0).message(), HasSubstr("is already that of the VM at " + daemon.file() + ":1:7"));
  ASSERT_EQ(unlink(daemon.file().c_str()), 0);
  v1::ReloadResponse missing;
  ASSERT_TRUE(daemon.Reload({}, missing).ok());
  EXPECT_FALSE(missing.applied());
  EXPECT_THAT(missing.problems(0).message(), HasSubstr("cannot be read: No such file"));
  EXPECT_EQ(daemon.Get("a").name(), "vms/a");
}

TEST(ReloadTest, ALookTellsWhatWouldBeAndChangesNothing) {
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}, {name: b, guest_cid: 4}, {name: c, guest_cid: 5}]\n");
  daemon.Write("vms: [{name: a, guest_cid: 3, groups: x}, {name: b, guest_cid: 6}, {name: d, guest_cid: 5}]\n");
  v1::ReloadRequest request;
  request.set_validate_only(true);
  v1::ReloadResponse response;
  ASSERT_TRUE(daemon.Reload(request, response).ok());
  EXPECT_FALSE(response.applied());
  EXPECT_THAT(Changes(response), UnorderedElementsAre("update vms/a", "replace vms/b", "create vms/d", "delete vms/c"));
  EXPECT_EQ(daemon.Get("a").generation(), 1);
  EXPECT_EQ(daemon.Get("b").status().cid(), 4u);
  EXPECT_EQ(daemon.Get("c").name(), "vms/c");
}

TEST(ReloadTest, AVmWithAVmmIsOnlyTakenApartByForce) {
  testing::Stage stage;
  testing::SimulatedGuest leaves(stage), stays(stage);
  FileDaemon daemon("vms: [{name: leaves, guest_cid: 3}, {name: stays, guest_cid: 4}, {name: idle, guest_cid: 5}]\n");
  for (const auto& [id, guest] : {std::make_pair("leaves", &leaves), std::make_pair("stays", &stays)}) {
    ASSERT_TRUE(guest->PowerOn(daemon.Get(id).status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage.RunUntil([&, id = id] { return daemon.Get(id).status().state() == v1::VmStatus::ACTIVE; }));
  }
  const std::string uid = daemon.Get("stays").uid(), idle = daemon.Get("idle").uid();

  const std::string yaml =
      "vms: [{name: stays, guest_cid: 4, queue_size: 512}, {name: idle, guest_cid: 5, queue_size: 512}]\n";
  const v1::ReloadResponse refused = daemon.Reload(yaml);
  EXPECT_TRUE(refused.applied());
  EXPECT_THAT(Changes(refused),
              ElementsAre("replace vms/stays: IMMUTABLE_FIELD", "delete vms/leaves: VM_ATTACHED", "replace vms/idle"));
  EXPECT_THAT(refused.changes(0).message(), HasSubstr("spec.queue_size is 1024 and cannot change"));
  EXPECT_EQ(refused.changes(0).place(), daemon.file() + ":1:7");
  EXPECT_EQ(daemon.Get("stays").uid(), uid);
  EXPECT_EQ(daemon.Get("stays").status().state(), v1::VmStatus::ACTIVE);
  EXPECT_EQ(daemon.Get("leaves").status().state(), v1::VmStatus::ACTIVE);
  EXPECT_NE(daemon.Get("idle").uid(), idle) << "another VM";
  EXPECT_EQ(daemon.Get("idle").spec().queue_size(), 512u);
  EXPECT_EQ(daemon.Get("idle").status().cid(), 5u);

  leaves.Kill();
  ASSERT_TRUE(stage.RunUntil([&] { return daemon.Get("leaves").status().state() == v1::VmStatus::LISTENING; }));
  EXPECT_THAT(Changes(daemon.Reload(yaml)), ElementsAre("replace vms/stays: IMMUTABLE_FIELD", "delete vms/leaves"))
      << "it tries again";
  EXPECT_THAT(Changes(daemon.Reload(yaml, true)), ElementsAre("replace vms/stays"));
  EXPECT_NE(daemon.Get("stays").uid(), uid);
  EXPECT_EQ(daemon.Get("stays").spec().queue_size(), 512u);
}

TEST(ReloadTest, OneThatCannotBeMadeDoesNotHoldUpTheOthers) {
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}]\n");
  ASSERT_TRUE(daemon->Create("mine", 50).ok());
  const v1::ReloadResponse response = daemon.Reload(R"(
vms:
- {name: a, guest_cid: 3, groups: [x]}
- {name: mine, guest_cid: 51}
- {name: taken, guest_cid: 50}
- {name: nowhere, guest_cid: 52, socket: /no/such/directory/x}
- {name: b, guest_cid: 53, network: none}
- {name: c, guest_cid: 54}
)");
  EXPECT_TRUE(response.applied());
  EXPECT_THAT(Changes(response),
              UnorderedElementsAre("create vms/mine: VM_EXISTS", "create vms/taken: CID_IN_USE",
                                   "create vms/nowhere: FIELD_INVALID", "create vms/b: NETWORK_NOT_FOUND",
                                   "update vms/a", "create vms/c"));
  EXPECT_EQ(daemon.Get("mine").managed_by(), "api");
  EXPECT_EQ(daemon.Get("mine").status().cid(), 50u);
  EXPECT_EQ(daemon.Get("c").status().cid(), 54u);
}

TEST(ReloadTest, TheApiDoesNotChangeWhatIsTheFiles) {
  FileDaemon daemon(
      "networks: [{name: lab}]\npolicies: [{name: p, allow: true}]\nvms: [{name: a, guest_cid: 3, groups: [x]}]\n");
  const v1::Vm before = daemon.Get("a");
  EXPECT_EQ(Reason(Update(daemon, "a", "web")), "MANAGED_BY_FILE");
  EXPECT_EQ(Reason(daemon->Delete("a")), "MANAGED_BY_FILE");
  v1::Vm other = before;
  EXPECT_TRUE(Apply(daemon, other, false).ok()) << "it is so already";
  (*other.mutable_labels())["tier"] = "web";
  EXPECT_EQ(Reason(Apply(daemon, other, false)), "MANAGED_BY_FILE");
  EXPECT_EQ(daemon.Get("a").generation(), 1);
  {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::DrainVmRequest request;
    request.set_name("vms/a");
    v1::Vm vm;
    EXPECT_TRUE(daemon->vms().DrainVm(&context, request, &vm).ok()) << "no edit";
  }
  {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::DeleteNetworkRequest request;
    request.set_name("networks/lab");
    v1::Network network;
    EXPECT_EQ(Reason(daemon->networks().DeleteNetwork(&context, request, &network)), "MANAGED_BY_FILE");
  }
  ASSERT_TRUE(Apply(daemon, other, true).ok());
  EXPECT_EQ(daemon.Get("a").labels().at("tier"), "web");
  EXPECT_EQ(daemon.Get("a").managed_by(), "file");
  v1::ReloadResponse back;
  ASSERT_TRUE(daemon.Reload({}, back).ok());
  EXPECT_THAT(Changes(back), ElementsAre("update vms/a"));
  EXPECT_THAT(daemon.Get("a").labels(), IsEmpty());
}

TEST(ReloadTest, NetworksAreTakenOverAndLetGo) {
  FileDaemon daemon("networks: [{name: lab}]\nvms: [{name: a, guest_cid: 3, network: lab}]\n");
  ASSERT_TRUE(CreateNetwork(daemon, "theirs").ok());
  const std::string uid = GetNetwork(daemon, "theirs").uid();
  EXPECT_THAT(
      Changes(daemon.Reload("networks: [{name: default, default_policy: deny}, {name: theirs, quarantine: 1s}]\n"
                            "vms: [{name: a, guest_cid: 3, network: theirs}]\n")),
      UnorderedElementsAre("update networks/default", "update networks/theirs", "delete networks/lab",
                           "replace vms/a"));
  EXPECT_EQ(GetNetwork(daemon, "default").default_policy(), v1::Network::DENY);
  EXPECT_EQ(GetNetwork(daemon, "default").managed_by(), "file");
  EXPECT_EQ(GetNetwork(daemon, "theirs").uid(), uid);
  EXPECT_EQ(GetNetwork(daemon, "theirs").managed_by(), "file");
  EXPECT_EQ(GetNetwork(daemon, "theirs").vms(), 1u);
  {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::CreateVmRequest request;
    request.set_vm_id("mine");
    request.mutable_vm()->mutable_spec()->set_network("networks/theirs");
    v1::Vm vm;
    ASSERT_TRUE(daemon->vms().CreateVm(&context, request, &vm).ok());
  }
  EXPECT_THAT(Changes(daemon.Reload("{}")), UnorderedElementsAre("delete networks/theirs: NETWORK_IN_USE",
                                                                 "delete networks/default", "delete vms/a"));
  EXPECT_EQ(GetNetwork(daemon, "default").default_policy(), v1::Network::SHARED_GROUP);
  EXPECT_EQ(GetNetwork(daemon, "default").managed_by(), "api");
  ASSERT_TRUE(daemon->Delete("mine").ok());
  EXPECT_THAT(Changes(daemon.Reload("{}")), ElementsAre("delete networks/theirs"));
}

TEST(ReloadTest, ForwardsComeGoAndFollowTheirVms) {
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}]\n");
  testing::ForwardClient forwards(daemon->forwards());
  const auto get = [&forwards](const char* id) {
    v1::Forward forward;
    forwards.Get(id, &forward);
    return forward;
  };
  const auto listen = [&daemon](const char* name) { return "unix:" + (daemon / name); };
  const auto file = [&listen](const std::string& vm, uint32_t port) {
    return absl::StrCat("vms: [", vm, "]\nforwards: [{name: ssh, vm: a, guest_port: ", port, ", listen: '",
                        listen("ssh"), "'}, {name: log, vm: a, guest_port: 514, target: 'tcp:127.0.0.1:", port,
                        "'}]\n");
  };
  ASSERT_TRUE(forwards.Create(testing::ForwardClient::ToGuest("mine", "a", 80, listen("mine"))).ok());
  const std::string vm = "{name: a, guest_cid: 3}";
  EXPECT_THAT(Changes(daemon.Reload(file(vm, 22))), UnorderedElementsAre("create forwards/ssh", "create forwards/log"));
  EXPECT_EQ(get("ssh").managed_by(), "file");
  v1::DeleteForwardRequest deletion;
  deletion.set_name("forwards/ssh");
  EXPECT_EQ(Reason(forwards.Delete(deletion)), "MANAGED_BY_FILE");

  const std::string uid = get("ssh").uid();
  EXPECT_THAT(Changes(daemon.Reload(file(vm, 23))), UnorderedElementsAre("update forwards/ssh", "update forwards/log"));
  EXPECT_EQ(get("ssh").guest_port(), 23u);
  EXPECT_EQ(get("ssh").uid(), uid);
  // Another VM takes the place of theirs: so do other forwards, and what the API had made of it is gone.
  EXPECT_THAT(Changes(daemon.Reload(file("{name: a, guest_cid: 4}", 23))),
              UnorderedElementsAre("replace vms/a", "replace forwards/ssh", "replace forwards/log"));
  EXPECT_EQ(get("ssh").status().error(), "");
  EXPECT_NE(get("ssh").uid(), uid);
  EXPECT_EQ(get("mine").name(), "");
  EXPECT_THAT(daemon.Dump(), AllOf(HasSubstr("forwards:\n"), HasSubstr(listen("ssh"))));

  EXPECT_THAT(Changes(daemon.Reload("{}")),
              UnorderedElementsAre("delete forwards/ssh", "delete forwards/log", "delete vms/a"));
  EXPECT_EQ(get("ssh").name(), "");
}

TEST(ReloadTest, SettingsHoldAtOnceOrAreTold) {
  FileDaemon daemon("daemon: {poll_us: 20}\n");
  v1::CreateVmRequest elsewhere;
  elsewhere.set_vm_id("a");
  elsewhere.mutable_vm()->mutable_spec()->set_vhost_user_socket(daemon / "a.sock");
  elsewhere.set_validate_only(true);
  EXPECT_TRUE(daemon->Create(elsewhere).ok());
  const v1::ReloadResponse response = daemon.Reload(
      "api: {socket_dirs: [/srv], roles: {viewer: {uids: [50001]}}}\n"
      "state: {dir: /nowhere}\ndaemon: {poll_us: 0, log_format: json, reactors: 3}\n");
  EXPECT_TRUE(response.applied());
  EXPECT_THAT(response.restart_required(), ElementsAre("state.dir", "daemon.poll_us", "daemon.log_format"))
      << "--reactors stands before the file";
  EXPECT_EQ(Reason(daemon->Create(elsewhere)), "FIELD_INVALID") << "outside of /srv";
  EXPECT_THAT(daemon.Reload("daemon: {poll_us: 20}\n").restart_required(), IsEmpty());
  EXPECT_TRUE(daemon->Create(elsewhere).ok());
}

TEST(ReloadTest, AQuotaForAllHoldsForThoseThatAreThere) {
  testing::Stage stage;
  testing::SimulatedGuest a(stage), b(stage);
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}, {name: b, guest_cid: 4}]\n");
  for (const auto& [id, guest] : {std::make_pair("a", &a), std::make_pair("b", &b)}) {
    ASSERT_TRUE(guest->PowerOn(daemon.Get(id).status().vhost_user_socket()).ok());
    ASSERT_TRUE(stage.RunUntil([&, id = id] { return daemon.Get(id).status().state() == v1::VmStatus::ACTIVE; }));
  }
  b.Listen(80);
  const testing::Stream first = a.Connect(4, 80);
  ASSERT_TRUE(stage.RunUntil([&] { return first.established(); }));
  daemon.Reload("defaults: {quota: {max_connections: 1}}\nvms: [{name: a, guest_cid: 3}, {name: b, guest_cid: 4}]\n");
  const testing::Stream second = a.Connect(4, 80);
  ASSERT_TRUE(stage.RunUntil([&] { return second.closed(); }));
  EXPECT_TRUE(second.was_reset());
  EXPECT_TRUE(first.established()) << "what there is stays";
}

TEST(ReloadTest, ADaemonWithoutAFileHasNothingToReadAgain) {
  testing::RunningDaemon daemon;
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ReloadResponse response;
  EXPECT_EQ(Reason(daemon.admin().Reload(&context, v1::ReloadRequest(), &response)), "NO_CONFIG_FILE");
}

TEST(ReloadTest, ReadingsAtTheSameTimeAreOneAfterTheOther) {
  FileDaemon daemon("vms: [{name: a, guest_cid: 3}]\n");
  std::string yaml = "vms:\n";
  for (int i = 0; i < 300; ++i) absl::StrAppend(&yaml, "- {name: vm-", i, ", guest_cid: ", 100 + i, "}\n");
  daemon.Write(yaml);
  std::vector<std::thread> threads;
  std::atomic<int> good{0}, busy{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) {
        v1::ReloadResponse response;
        const grpc::Status status = daemon.Reload({}, response);
        if (status.ok()) good += response.applied() ? 1 : 0;
        if (Reason(status) == "CONCURRENT_CHANGE") ++busy;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(good, 1);
  EXPECT_EQ(good + busy, 20);
  v1::ReloadResponse response;
  ASSERT_TRUE(daemon.Reload({}, response).ok());
  EXPECT_EQ(response.unchanged(), 300u);
  EXPECT_EQ(daemon->Info().counts().vms(), 300u);
}

// ---- DumpConfig.

constexpr char kFile[] = R"(
defaults: {quota: {max_connections: 1000}}
networks: [{name: lab, quarantine: 90s, default_policy: allow}]
policies: [{name: p, network: lab, allow: false, from: {labels: {tier: web}}, ports: [22, 80-90]}]
vms:
- {name: a, guest_cid: 3, network: lab, labels: {tier: web}, annotations: {note: "x: y"}, orphan_ttl: 1h}
- {name: b, guest_cid: 4, readiness: {probe_guest_port: 22}, allow_seqpacket: false}
forwards:
- {name: log, vm: a, guest_port: 514, target: "tcp:127.0.0.1:514", send_proxy_v2: true}
)";

TEST(DumpTest, WhatIsDumpedMakesTheSameAgain) {
  std::string yaml;
  {
    FileDaemon daemon(kFile);
    v1::CreateVmRequest request;
    request.set_vm_id("mine");
    request.mutable_vm()->mutable_spec()->mutable_cid()->mutable_range()->set_first(2000);
    request.mutable_vm()->mutable_spec()->mutable_cid()->mutable_range()->set_last(2100);
    request.mutable_vm()->mutable_spec()->mutable_quota()->mutable_bytes_to_guest()->set_rate(1'000'000);
    ASSERT_TRUE(daemon->Create(request).ok());
    yaml = daemon.Dump();
    EXPECT_THAT(yaml, HasSubstr("\"mine\""));
    EXPECT_THAT(daemon.Dump(true), Not(HasSubstr("\"mine\"")));
  }
  FileDaemon again(yaml);
  EXPECT_EQ(again.Get("mine").managed_by(), "file");
  EXPECT_EQ(again.Get("a").annotations().at("note"), "x: y");
  // Where it serves its API is the test's.
  const auto rest = [](const std::string& dump) { return dump.substr(dump.find("daemon:")); };
  EXPECT_EQ(rest(again.Dump()), rest(yaml));
  EXPECT_EQ(rest(again.Dump(true)), rest(yaml));
  v1::ReloadResponse response;
  ASSERT_TRUE(again.Reload({}, response).ok());
  EXPECT_THAT(Changes(response), IsEmpty());
}

TEST(DumpTest, MessagesAreThoseOfTheApi) {
  FileDaemon daemon(kFile);
  std::vector<v1::ConfigDump> pieces;
  ASSERT_TRUE(daemon.Dump(false, pieces).ok());
  v1::ConfigDump all;
  for (const v1::ConfigDump& piece : pieces) all.MergeFrom(piece);
  ASSERT_EQ(all.networks_size(), 2);
  EXPECT_EQ(all.networks(1).name(), "networks/lab");
  ASSERT_EQ(all.policies_size(), 1);
  EXPECT_EQ(all.policies(0).name(), "networks/lab/policies/p");
  ASSERT_EQ(all.vms_size(), 2);
  EXPECT_EQ(all.vms(0).name(), "vms/a");
  EXPECT_FALSE(all.vms(0).has_status());
  EXPECT_EQ(all.vms(0).uid(), "");
  ASSERT_EQ(all.forwards_size(), 1);
  EXPECT_EQ(all.forwards(0).name(), "forwards/log");
  EXPECT_EQ(all.forwards(0).target(), "tcp:127.0.0.1:514");
  for (const v1::Vm& vm : all.vms()) EXPECT_TRUE(Apply(daemon, vm, false).ok()) << "it is so already";
}

}  // namespace
}  // namespace kinsock
