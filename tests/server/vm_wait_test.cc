// SPDX-License-Identifier: Apache-2.0
//
// WaitVm, and filters of ListVms and WatchVms, as a client meets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/simulated_guest.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Reason;
using ::testing::UnorderedElementsAre;

class VmWaitTest : public testing::VmFixture {
 protected:
  static v1::WaitVmRequest For(const std::string& id) {
    v1::WaitVmRequest request;
    request.set_name("vms/" + id);
    return request;
  }
  static v1::WaitVmRequest ForState(const std::string& id, v1::VmStatus::State state) {
    v1::WaitVmRequest request = For(id);
    request.set_state(state);
    return request;
  }
  grpc::Status Wait(const v1::WaitVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::WaitVm, request, vm);
  }
  // Waits on a thread of its own, until the caller has seen to it that it ends.
  std::future<grpc::Status> WaitAside(v1::WaitVmRequest request, v1::Vm* vm = nullptr) {
    std::future<grpc::Status> result = std::async(std::launch::async, [=, this] { return Wait(request, vm); });
    // The daemon has a place in the history for it, besides those of watches.
    EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Info().counts().watches() == 1; }));
    return result;
  }
  static grpc::Status Result(std::future<grpc::Status>& result) { return result.get(); }
};

TEST_F(VmWaitTest, WhatIsSoAlreadyIsAnsweredAtOnce) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::Vm vm;
  ASSERT_TRUE(Wait(ForState("a", v1::VmStatus::LISTENING), &vm).ok());
  EXPECT_EQ(vm.name(), "vms/a");
  v1::WaitVmRequest generation = For("a");
  generation.set_min_generation(1);
  EXPECT_TRUE(Wait(generation).ok());
  v1::WaitVmRequest condition = For("a");
  condition.set_condition("DriverReady");
  condition.set_status(v1::Condition::FALSE);
  EXPECT_TRUE(Wait(condition).ok());
  v1::WaitVmRequest deleted = For("nobody");
  deleted.set_deleted(true);
  EXPECT_TRUE(Wait(deleted, &vm).ok());
  EXPECT_EQ(vm.name(), "");
}

TEST_F(VmWaitTest, AStateThatComesIsAnswered) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::Vm vm;
  std::future<grpc::Status> active = WaitAside(ForState("a", v1::VmStatus::ACTIVE), &vm);
  PowerOn("a", a_);
  EXPECT_TRUE(Result(active).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::ACTIVE);
  EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Info().counts().watches() == 0; })) << "nobody waits any more";
}

TEST_F(VmWaitTest, AGenerationAndADeletionAreAnswered) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::WaitVmRequest second = ForState("a", v1::VmStatus::LISTENING);
  second.set_min_generation(2);
  v1::Vm vm;
  std::future<grpc::Status> changed = WaitAside(second, &vm);
  v1::UpdateVmRequest update;
  update.mutable_vm()->set_name("vms/a");
  update.mutable_vm()->mutable_spec()->add_groups("x");
  ASSERT_TRUE(Update(update).ok());
  EXPECT_TRUE(Result(changed).ok());
  EXPECT_EQ(vm.generation(), 2);

  ASSERT_TRUE(stage_.RunUntil([&] { return daemon_.Info().counts().watches() == 0; }));
  v1::WaitVmRequest gone = For("a");
  gone.set_deleted(true);
  std::future<grpc::Status> deleted = WaitAside(gone, &vm);
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_TRUE(Result(deleted).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::DELETING);
}

TEST_F(VmWaitTest, WhatCannotComeAnyMoreIsSaid) {
  EXPECT_EQ(Reason(Wait(ForState("a", v1::VmStatus::ACTIVE))), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create("a").ok());
  std::future<grpc::Status> active = WaitAside(ForState("a", v1::VmStatus::ACTIVE));
  ASSERT_TRUE(daemon_.Delete("a").ok());
  EXPECT_EQ(Reason(Result(active)), "VM_NOT_FOUND");
}

TEST_F(VmWaitTest, ADeadlineEndsItAndNothingIsLeft) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::Vm vm;
  const grpc::Status late = daemon_.vms().WaitVm(&context, ForState("a", v1::VmStatus::ACTIVE), &vm);
  EXPECT_EQ(late.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Info().counts().watches() == 0; }));
}

TEST_F(VmWaitTest, AStoppingDaemonKeepsNobodyWaiting) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  std::future<grpc::Status> active = WaitAside(ForState("a", v1::VmStatus::ACTIVE));
  daemon_.Stop();
  EXPECT_EQ(Result(active).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(VmWaitTest, GoalsThatMakeNoSenseAreRefused) {
  v1::WaitVmRequest request = For("A");
  EXPECT_THAT(Fields(Wait(request)), UnorderedElementsAre("name", "goal"));
  request = ForState("a", v1::VmStatus::FAILED);
  request.set_status(v1::Condition::TRUE);
  request.set_min_generation(-1);
  EXPECT_THAT(Fields(Wait(request)), UnorderedElementsAre("state", "status", "min_generation"));
  request = For("a");
  request.set_condition("Happy");
  request.set_status(v1::Condition::UNKNOWN);
  EXPECT_THAT(Fields(Wait(request)), UnorderedElementsAre("condition", "status"));
  request = For("a");
  request.set_deleted(false);
  request.set_min_generation(3);
  EXPECT_THAT(Fields(Wait(request)), UnorderedElementsAre("deleted", "min_generation"));
}

// --- Filters ---

class VmFilterApiTest : public testing::VmFixture {
 protected:
  void Create(const std::string& id, const std::string& tier) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    (*request.mutable_vm()->mutable_labels())["tier"] = tier;
    ASSERT_TRUE(daemon_.Create(request).ok());
  }
  void Label(const std::string& id, const std::string& tier) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + id);
    (*request.mutable_vm()->mutable_labels())["tier"] = tier;
    ASSERT_TRUE(Update(request).ok());
  }
  // "ADDED a", "SYNCED"; "end" when there is none.
  static std::string Next(grpc::ClientReader<v1::WatchVmsResponse>& stream, std::string* version = nullptr) {
    v1::WatchVmsResponse change;
    if (!stream.Read(&change)) return "end";
    if (version != nullptr) *version = change.resource_version();
    const std::string type = v1::WatchVmsResponse::Type_Name(change.type());
    return change.has_vm() ? absl::StrCat(type, " ", change.vm().name().substr(4)) : type;
  }
};

TEST_F(VmFilterApiTest, AListShowsWhatMatches) {
  for (int i = 0; i < 9; ++i) Create(absl::StrCat("vm", i), i % 3 == 0 ? "web" : "db");
  v1::ListVmsRequest request;
  request.set_filter("labels.tier=web AND state=LISTENING");
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    v1::ListVmsResponse page;
    ASSERT_TRUE(daemon_.List(request, &page).ok());
    EXPECT_LE(page.vms_size(), 2);
    for (const v1::Vm& vm : page.vms()) names.push_back(vm.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("vms/vm0", "vms/vm3", "vms/vm6"));
  v1::ListVmsResponse page;
  request.set_filter("groups:elsewhere");
  ASSERT_TRUE(daemon_.List(request, &page).ok());
  EXPECT_THAT(page.vms(), IsEmpty());
  request.set_filter("tier=web");
  EXPECT_THAT(Fields(daemon_.List(request, &page)), ElementsAre("filter"));
}

TEST_F(VmFilterApiTest, AWatchTellsWhoComesInAndWhoGoesOut) {
  Create("a", "web");
  Create("b", "db");
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::WatchRequest request;
  request.set_filter("labels.tier=web");
  const auto stream = daemon_.vms().WatchVms(&context, request);
  EXPECT_EQ(Next(*stream), "ADDED a");
  EXPECT_EQ(Next(*stream), "SYNCED");
  Label("b", "x");
  Label("b", "web");
  EXPECT_EQ(Next(*stream), "ADDED b");
  ASSERT_TRUE(daemon_.Delete("a").ok());
  std::string next = Next(*stream);
  // The reactors go by the label of the one, and the other is DELETING.
  while (next == "MODIFIED a" || next == "MODIFIED b") next = Next(*stream);
  EXPECT_EQ(next, "DELETED a");
  Label("b", "db");
  std::string version;
  EXPECT_EQ(Next(*stream, &version), "DELETED b");
  ASSERT_TRUE(daemon_.Delete("b").ok()) << "of which nothing is said";
  Create("c", "web");
  EXPECT_EQ(Next(*stream), "ADDED c");
  context.TryCancel();
  stream->Finish();

  grpc::ClientContext later;
  testing::SetDeadline(later);
  request.set_resource_version(version);
  const auto resumed = daemon_.vms().WatchVms(&later, request);
  EXPECT_EQ(Next(*resumed), "DELETED b") << "it is not known what was said before";
  EXPECT_EQ(Next(*resumed), "ADDED c");
  later.TryCancel();
  resumed->Finish();
}

TEST_F(VmFilterApiTest, AWatchThatPassesOverMuchGoesOn) {
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::WatchRequest request;
  request.set_filter("labels.tier=web");
  const auto stream = daemon_.vms().WatchVms(&context, request);
  EXPECT_EQ(Next(*stream), "SYNCED");
  for (int i = 0; i < 200; ++i) Create(absl::StrCat("vm", i), "db");
  Create("a", "web");
  EXPECT_EQ(Next(*stream), "ADDED a");
  context.TryCancel();
  stream->Finish();
}

}  // namespace
}  // namespace kinsock
