// SPDX-License-Identifier: Apache-2.0
//
// WatchEvents as an operator meets it: all of the daemon over gRPC, and simulated guests that ask for too much.
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/running_daemon.h"
#include "tests/support/other_user.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;

// A client's watch of events.
class Watch {
 public:
  explicit Watch(v1::AdminService::Stub& stub, const std::string& version = "", int bookmark_seconds = 0) {
    testing::SetDeadline(context_);
    v1::WatchRequest request;
    request.set_resource_version(version);
    if (bookmark_seconds != 0) request.mutable_bookmark_interval()->set_seconds(bookmark_seconds);
    stream_ = stub.WatchEvents(&context_, request);
  }
  ~Watch() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  bool Read() { return stream_->Read(&last_); }
  // Reads until one for which `wanted` holds. False: the watch ended before.
  bool Await(const std::function<bool(const v1::Event&)>& wanted) {
    while (Read()) {
      if (wanted(last_)) return true;
    }
    return false;
  }
  bool Await(v1::Event::Type type) {
    return Await([type](const v1::Event& event) { return event.type() == type; });
  }
  bool AwaitReason(const std::string& reason) {
    return Await([&reason](const v1::Event& event) { return event.reason() == reason; });
  }
  const v1::Event& last() const { return last_; }
  std::string field(const std::string& name) const {
    const auto field = last_.fields().find(name);
    return field != last_.fields().end() ? field->second : "";
  }
  grpc::Status End() {
    finished_ = true;
    while (Read()) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::Event>> stream_;
  v1::Event last_;
  bool finished_ = false;
};

class EventsTest : public ::testing::Test {
 protected:
  // All that is remembered.
  std::vector<v1::Event> History() {
    std::vector<v1::Event> events;
    Watch watch(daemon_.admin());
    while (watch.Read() && watch.last().type() != v1::Event::SYNCED) events.push_back(watch.last());
    return events;
  }

  std::vector<std::string> HistoryOf(v1::Event::Type type) {
    std::vector<std::string> lines;
    for (const v1::Event& event : History()) {
      if (event.type() == type) lines.push_back(absl::StrCat(event.reason(), " ", event.object()));
    }
    return lines;
  }

  RunningDaemon daemon_;
};

TEST_F(EventsTest, TellsWhatBecameOfAVm) {
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  ASSERT_TRUE(daemon_.Delete("web").ok());
  Watch watch(daemon_.admin());
  ASSERT_TRUE(watch.Await(v1::Event::LIFECYCLE));
  EXPECT_EQ(watch.last().reason(), "VM_CREATED");
  EXPECT_EQ(watch.last().object(), "vms/web");
  EXPECT_EQ(watch.last().severity(), v1::Event::INFO);
  EXPECT_FALSE(watch.last().has_actor());
  EXPECT_EQ(watch.field("cid"), "42");
  EXPECT_TRUE(watch.last().has_time());
  ASSERT_TRUE(watch.AwaitReason("VM_STATE"));
  EXPECT_EQ(watch.field("from"), "PROVISIONING");
  EXPECT_EQ(watch.field("to"), "LISTENING");
  ASSERT_TRUE(watch.AwaitReason("VM_DELETED"));
  ASSERT_TRUE(watch.Await(v1::Event::SYNCED));
}

TEST_F(EventsTest, TellsWhoChangedWhatAndWhatWasRefused) {
  ASSERT_TRUE(daemon_.Create("web", 42).ok());
  ASSERT_EQ(Reason(daemon_.Create("db", 42)), "CID_IN_USE");
  ASSERT_EQ(Reason(daemon_.Create("Bad Name")), "FIELD_INVALID");
  v1::CreateVmRequest only_checked;
  only_checked.set_vm_id("maybe");
  only_checked.set_validate_only(true);
  ASSERT_TRUE(daemon_.Create(only_checked).ok());
  EXPECT_THAT(HistoryOf(v1::Event::AUDIT), ElementsAre("CHANGED vms/web", "REFUSED vms/db", "REFUSED vms/Bad Name"));

  Watch watch(daemon_.admin());
  ASSERT_TRUE(watch.AwaitReason("CHANGED"));
  const v1::Actor& actor = watch.last().actor();
  EXPECT_EQ(actor.uid(), geteuid());
  EXPECT_EQ(actor.pid(), getpid());
  EXPECT_THAT(actor.exe(), HasSubstr("events_test"));
  EXPECT_EQ(actor.role(), "admin");
  EXPECT_EQ(watch.field("method"), "VmService.CreateVm");
  EXPECT_EQ(watch.field("code"), "OK");
  ASSERT_TRUE(watch.AwaitReason("REFUSED"));
  EXPECT_EQ(watch.field("code"), "ALREADY_EXISTS");
  EXPECT_EQ(watch.field("error"), "CID_IN_USE");
  EXPECT_EQ(watch.last().severity(), v1::Event::WARNING);
}

TEST_F(EventsTest, AChangeIsPartOfItsCallersTrace) {
  const std::string trace(32, '7');
  const auto create = [&](const std::string& id, const std::vector<std::string>& parents) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    for (const std::string& parent : parents) context.AddMetadata("traceparent", parent);
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    v1::Vm vm;
    return daemon_.vms().CreateVm(&context, request, &vm).ok();
  };
  const std::string parent = "00-" + trace + "-00f067aa0ba902b7-01";
  ASSERT_TRUE(create("a", {parent}));
  ASSERT_TRUE(create("b", {"no trace"}));
  ASSERT_TRUE(create("c", {parent, parent}));
  Watch watch(daemon_.admin());
  const std::vector<std::pair<std::string, std::string>> traces{{"vms/a", trace}, {"vms/b", ""}, {"vms/c", ""}};
  for (const auto& [object, expected] : traces) {
    ASSERT_TRUE(watch.AwaitReason("CHANGED"));
    EXPECT_EQ(watch.last().object(), object);
    EXPECT_EQ(watch.last().actor().trace_id(), expected) << object;
  }
}

TEST_F(EventsTest, WhatAClientSaysIsRememberedInPart) {
  const std::string endless(1 << 20, 'x');
  ASSERT_EQ(Reason(daemon_.Create(endless)), "FIELD_INVALID");
  for (const v1::Event& event : History()) EXPECT_LT(event.ByteSizeLong(), 4096u);
}

TEST_F(EventsTest, TheDaemonsOwnChangesAreToldWithTheirReason) {
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::DrainRequest request;
  request.set_reason("kernel update");
  google::protobuf::Empty nothing;
  ASSERT_TRUE(daemon_.admin().Drain(&context, request, &nothing).ok());
  Watch watch(daemon_.admin());
  ASSERT_TRUE(watch.AwaitReason("CHANGED"));
  EXPECT_EQ(watch.last().object(), "daemon");
  EXPECT_EQ(watch.field("why"), "kernel update");
}

TEST_F(EventsTest, AWatchGoesOnWhereTheLastOneEnded) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  std::string version;
  {
    Watch watch(daemon_.admin());
    ASSERT_TRUE(watch.Await(v1::Event::SYNCED));
    version = watch.last().resource_version();
  }
  ASSERT_TRUE(daemon_.Create("b").ok());
  Watch watch(daemon_.admin(), version);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().reason(), "VM_CREATED");
  EXPECT_EQ(watch.last().object(), "vms/b");
  ASSERT_TRUE(daemon_.Create("c").ok());
  EXPECT_TRUE(watch.Await([](const v1::Event& event) { return event.object() == "vms/c"; }));
}

TEST_F(EventsTest, VersionsThatMeanNothingAreRefused) {
  const grpc::Status old = Watch(daemon_.admin(), "deadbeef.5").End();
  EXPECT_EQ(old.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(old), "RESOURCE_VERSION_EXPIRED");
  EXPECT_EQ(Reason(Watch(daemon_.admin(), "garbage").End()), "FIELD_INVALID");
  EXPECT_EQ(Reason(Watch(daemon_.admin(), "", 100'000).End()), "FIELD_INVALID") << "bookmark_interval";
  v1::ListVmsResponse list;
  ASSERT_TRUE(daemon_.List(v1::ListVmsRequest(), &list).ok());
  EXPECT_EQ(Reason(Watch(daemon_.admin(), list.resource_version()).End()), "RESOURCE_VERSION_EXPIRED")
      << "versions of VMs are no versions of events";
}

TEST_F(EventsTest, AQuietWatchGetsBookmarks) {
  Watch watch(daemon_.admin(), "", 1);
  ASSERT_TRUE(watch.Await(v1::Event::SYNCED));
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), v1::Event::BOOKMARK);
  EXPECT_NE(watch.last().resource_version(), "");
}

// A guest that is a VM with this id and CID, in the group of its id.
void Boot(RunningDaemon& daemon, testing::Stage& stage, testing::SimulatedGuest& guest, const std::string& id,
          uint32_t cid) {
  v1::CreateVmRequest request;
  request.set_vm_id(id);
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
  request.mutable_vm()->mutable_spec()->add_groups(id);
  v1::Vm vm;
  ASSERT_TRUE(daemon.Create(request, &vm).ok());
  ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
  ASSERT_TRUE(
      stage.RunUntil([&] { return daemon.Get(vm.name(), &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; }));
}

TEST_F(EventsTest, AGuestThatAsksForTooMuchIsToldOfOnceASecond) {
  testing::Stage stage;
  testing::SimulatedGuest a(stage), b(stage);
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, a, "a", 3));
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, b, "b", 4));
  constexpr int kCalls = 100;
  for (int i = 0; i < kCalls; ++i) {
    testing::Stream call = a.Connect(4, 80);
    ASSERT_TRUE(stage.RunUntil([&] { return call.closed(); }));
  }
  Watch watch(daemon_.admin());
  int told = 0, counted = 0;
  ASSERT_TRUE(watch.Await([&](const v1::Event& event) {
    if (event.reason() == "POLICY_DENIED") {
      EXPECT_THAT(event.object(), HasSubstr("connections/"));
      EXPECT_EQ(event.fields().at("initiator"), "vms/a");
      EXPECT_EQ(event.fields().at("target"), "vms/b");
      EXPECT_EQ(event.fields().at("port"), "80");
      ++told;
    }
    if (event.reason() == "DENIALS_SUPPRESSED") {
      EXPECT_EQ(event.object(), "vms/a") << "whose it is is told";
      counted += std::stoi(event.fields().at("count"));
    }
    return told + counted == kCalls;
  })) << told
      << " told, " << counted << " counted";
  EXPECT_GT(counted, 0);
}

TEST_F(EventsTest, ANoisyGuestSilencesNoOther) {
  testing::Stage stage;
  testing::SimulatedGuest noisy(stage), quiet(stage);
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, noisy, "noisy", 3));
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, quiet, "quiet", 4));
  const auto call = [&](testing::SimulatedGuest& from, uint32_t to) {
    const testing::Stream stream = from.Connect(to, 80);
    return stage.RunUntil([&] { return stream.closed(); });
  };
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(call(noisy, 4));
  ASSERT_TRUE(call(quiet, 3));
  Watch watch(daemon_.admin());
  EXPECT_TRUE(watch.Await([](const v1::Event& event) {
    return event.reason() == "POLICY_DENIED" && event.fields().at("initiator") == "vms/quiet";
  }));
  EXPECT_TRUE(daemon_.Delete("noisy", true).ok());
  EXPECT_TRUE(daemon_.Delete("quiet", true).ok());
  int told = 0, counted = 0;
  EXPECT_TRUE(Watch(daemon_.admin()).Await([&](const v1::Event& event) {
    const auto initiator = event.fields().find("initiator");
    if (initiator != event.fields().end() && initiator->second == "vms/noisy") ++told;
    if (event.reason() == "DENIALS_SUPPRESSED") counted += std::stoi(event.fields().at("count"));
    return told + counted == 300;
  })) << told
      << " told, " << counted << " counted, though the VM is gone";
}

TEST_F(EventsTest, APolicyThatLogsTellsOfWhatItAllows) {
  testing::Stage stage;
  testing::SimulatedGuest a(stage), b(stage);
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, a, "a", 3));
  ASSERT_NO_FATAL_FAILURE(Boot(daemon_, stage, b, "b", 4));
  for (const auto& [id, log, port] : {std::tuple("told", true, 80), std::tuple("silent", false, 81)}) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::CreatePolicyRequest request;
    request.set_parent("networks/default");
    request.set_policy_id(id);
    request.mutable_policy()->set_allow(true);
    request.mutable_policy()->set_log(log);
    request.mutable_policy()->add_ports()->set_first(static_cast<uint32_t>(port));
    v1::Policy policy;
    ASSERT_TRUE(daemon_.networks().CreatePolicy(&context, request, &policy).ok());
    EXPECT_EQ(policy.log(), log);
  }
  constexpr int kCalls = 60;
  for (uint32_t port : {81u, 80u}) b.Listen(port);
  const auto call = [&](uint32_t port) {
    testing::Stream stream = a.Connect(4, port);
    return stage.RunUntil([&] { return stream.established(); });
  };
  ASSERT_TRUE(call(81));
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(call(80));

  Watch watch(daemon_.admin());
  int told = 0, counted = 0;
  ASSERT_TRUE(watch.Await([&](const v1::Event& event) {
    if (event.type() != v1::Event::CONNECTION) return false;
    if (event.reason() == "POLICY_ALLOWED") {
      EXPECT_THAT(event.object(), HasSubstr("connections/"));
      EXPECT_EQ(event.fields().at("initiator"), "vms/a");
      EXPECT_EQ(event.fields().at("target"), "vms/b");
      EXPECT_EQ(event.fields().at("port"), "80");
      EXPECT_EQ(event.fields().at("policy"), "networks/default/policies/told");
      ++told;
    } else {
      EXPECT_EQ(event.reason(), "CONNECTIONS_SUPPRESSED");
      counted += std::stoi(event.fields().at("count"));
    }
    return told + counted == kCalls;
  })) << told
      << " told, " << counted << " counted";
  EXPECT_GT(counted, 0);
}

TEST_F(EventsTest, WhoLacksARoleIsToldOfAndMayNotLook) {
  if (!testing::CanBeOthers()) GTEST_SKIP() << "only root can be others";
  Config config;
  ASSERT_EQ(config.api_roles.Add("viewer=user:61001"), "");
  daemon_.Stop();
  umask(0007);  // as kinsockd does
  RunningDaemon daemon(std::move(config));
  ASSERT_TRUE(daemon.started().ok());
  chmod(daemon.directory().c_str(), 0755);
  UniqueFd connection = testing::ConnectAs({61'001, 61'001, {}}, daemon.api_socket());
  ASSERT_TRUE(connection.valid());
  const auto stub = v1::AdminService::NewStub(grpc::CreateInsecureChannelFromFd("api", connection.release()));
  constexpr int kCalls = 100;
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(Reason(Watch(*stub).End()), "ROLE_REQUIRED");

  Watch watch(daemon.admin());
  ASSERT_TRUE(watch.AwaitReason("ROLE_REQUIRED"));
  EXPECT_EQ(watch.last().type(), v1::Event::DENIAL);
  EXPECT_EQ(watch.last().actor().uid(), 61'001u);
  EXPECT_EQ(watch.last().actor().role(), "viewer");
  EXPECT_EQ(watch.field("method"), "AdminService.WatchEvents");
  EXPECT_EQ(watch.field("need"), "operator");
  ASSERT_TRUE(watch.AwaitReason("DENIALS_SUPPRESSED")) << "not all of a hundred";
}

}  // namespace
}  // namespace kinsock
