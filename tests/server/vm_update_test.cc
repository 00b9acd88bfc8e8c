// SPDX-License-Identifier: Apache-2.0
//
// UpdateVm and ApplyVm as a client meets them, and what their guests notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stream.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Info;
using ::testing::IsEmpty;
using testing::Reason;
using testing::Stream;
using ::testing::UnorderedElementsAre;

class VmUpdateTest : public testing::VmFixture {
 protected:
  static v1::UpdateVmRequest Change(const std::string& id, const std::vector<std::string>& mask) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + id);
    for (const std::string& path : mask) request.mutable_update_mask()->add_paths(path);
    return request;
  }
  static v1::UpdateVmRequest IntoGroup(const std::string& id, const std::string& group) {
    v1::UpdateVmRequest request = Change(id, {"spec.groups"});
    request.mutable_vm()->mutable_spec()->add_groups(group);
    return request;
  }
  static v1::ApplyVmRequest Wanted(const std::string& id) {
    v1::ApplyVmRequest request;
    request.set_vm_id(id);
    return request;
  }
};

TEST_F(VmUpdateTest, WhatTheMaskNamesChangesAndTheRestStays) {
  v1::CreateVmRequest creation;
  creation.set_vm_id("a");
  (*creation.mutable_vm()->mutable_labels())["tier"] = "web";
  (*creation.mutable_vm()->mutable_annotations())["note"] = "old";
  v1::Vm before;
  ASSERT_TRUE(daemon_.Create(creation, &before).ok());

  v1::UpdateVmRequest change = Change("a", {"labels"});
  (*change.mutable_vm()->mutable_labels())["tier"] = "db";
  (*change.mutable_vm()->mutable_annotations())["note"] = "new";  // not named
  v1::Vm after;
  ASSERT_TRUE(Update(change, &after).ok());
  EXPECT_EQ(after.labels().at("tier"), "db");
  EXPECT_EQ(after.annotations().at("note"), "old");
  EXPECT_EQ(after.generation(), 2);
  EXPECT_EQ(after.status().observed_generation(), 2);
  EXPECT_EQ(after.uid(), before.uid());
  EXPECT_NE(after.etag(), before.etag());
  EXPECT_NE(after.resource_version(), before.resource_version());
  EXPECT_EQ(Get("a").labels().at("tier"), "db");

  v1::Vm emptied;
  ASSERT_TRUE(Update(Change("a", {"*"}), &emptied).ok());
  EXPECT_THAT(emptied.labels(), IsEmpty());
  EXPECT_THAT(emptied.annotations(), IsEmpty());
  EXPECT_EQ(emptied.generation(), 3);
}

TEST_F(VmUpdateTest, AChangeThatChangesNothingBumpsNothing) {
  v1::Vm before, after;
  ASSERT_TRUE(daemon_.Create("a", 0, &before).ok());
  ASSERT_TRUE(Update(IntoGroup("a", "default"), &after).ok()) << "it is what nothing means";
  EXPECT_EQ(after.generation(), 1);
  EXPECT_EQ(after.etag(), before.etag());
  EXPECT_EQ(after.resource_version(), Get("a").resource_version());
}

TEST_F(VmUpdateTest, WithoutAMaskWhatIsSaidIsMeant) {
  ASSERT_TRUE(daemon_.Create("a", 7).ok());
  v1::UpdateVmRequest change;
  *change.mutable_vm() = Get("a");  // as it was read, output and immutable fields included
  (*change.mutable_vm()->mutable_labels())["tier"] = "db";
  v1::Vm after;
  ASSERT_TRUE(Update(change, &after).ok());
  EXPECT_EQ(after.generation(), 2);
  change.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(8);
  change.mutable_vm()->mutable_spec()->set_queue_size(64);
  const grpc::Status refused = Update(change);
  EXPECT_EQ(Reason(refused), "FIELD_INVALID");
  EXPECT_THAT(Fields(refused), UnorderedElementsAre("vm.spec.cid", "vm.spec.queue_size"));
  EXPECT_THAT(refused.error_message(), HasSubstr("is 7 and changes by ResetVm"));
}

TEST_F(VmUpdateTest, PathsThatCannotBeChangedAreNamedAllAtOnce) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  const grpc::Status refused = Update(Change("a", {"spec.cid", "status.cid", "spec.colour", "labels"}));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(refused), "FIELD_INVALID");
  EXPECT_THAT(Fields(refused), ElementsAre("update_mask", "update_mask", "update_mask"));
  EXPECT_THAT(refused.error_message(), HasSubstr("\"spec.cid\" is immutable"));
  EXPECT_THAT(refused.error_message(), HasSubstr("\"status.cid\" is immutable"));
  EXPECT_THAT(refused.error_message(), HasSubstr("\"spec.colour\" is no field"));
  EXPECT_EQ(Get("a").generation(), 1);
}

TEST_F(VmUpdateTest, BadValuesAreNamedAllAtOnce) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::UpdateVmRequest change = IntoGroup("a", "a,b");
  change.mutable_update_mask()->add_paths("labels");
  (*change.mutable_vm()->mutable_labels())["a b"] = "";
  change.set_request_id("no spaces");
  EXPECT_THAT(Fields(Update(change)), UnorderedElementsAre("vm.spec.groups[0]", "vm.labels", "request_id"));
}

TEST_F(VmUpdateTest, ChangesHavePreconditions) {
  EXPECT_EQ(Reason(Update(IntoGroup("a", "x"))), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::UpdateVmRequest change = IntoGroup("a", "x");
  change.set_etag(Get("a").etag());
  change.set_validate_only(true);
  v1::Vm would_be;
  ASSERT_TRUE(Update(change, &would_be).ok());
  EXPECT_EQ(would_be.generation(), 2);
  EXPECT_EQ(Get("a").generation(), 1);
  change.set_validate_only(false);
  ASSERT_TRUE(Update(change).ok());
  const grpc::Status late = Update(change);
  EXPECT_EQ(late.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Reason(late), "ETAG_MISMATCH");
  EXPECT_EQ(Info(late).metadata().at("current"), Get("a").etag());
}

TEST_F(VmUpdateTest, ARepeatedChangeGivesTheFirstResult) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::UpdateVmRequest change = IntoGroup("a", "x");
  change.set_etag(Get("a").etag());
  change.set_request_id("r");
  v1::Vm first, second;
  ASSERT_TRUE(Update(change, &first).ok());
  ASSERT_TRUE(Update(change, &second).ok()) << "its etag is old by now";
  EXPECT_EQ(first.resource_version(), second.resource_version());
  EXPECT_EQ(Reason(Update([&] {
              v1::UpdateVmRequest other = IntoGroup("a", "y");
              other.set_request_id("r");
              return other;
            }())),
            "REQUEST_ID_REUSED");
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_request_id("r");
  EXPECT_EQ(Reason(daemon_.Delete(deletion)), "REQUEST_ID_REUSED") << "one id, one request, whatever its method";
  deletion.set_request_id("s");
  v1::Vm gone, again;
  ASSERT_TRUE(daemon_.Delete(deletion, &gone).ok());
  ASSERT_TRUE(daemon_.Delete(deletion, &again).ok()) << "it was deleted by this request";
  EXPECT_EQ(gone.uid(), again.uid());
}

TEST_F(VmUpdateTest, OtherGroupsHoldForNewConnectionsAndExistingOnesStay) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  b_.Listen(80);
  Stream before = a_.Connect(4, 80);
  Stream accepted = b_.Accept(80);

  v1::Vm moved;
  ASSERT_TRUE(Update(IntoGroup("a", "elsewhere"), &moved).ok());
  EXPECT_EQ(moved.status().observed_generation(), 2);
  Stream after = a_.Connect(4, 80);
  ASSERT_TRUE(stage_.RunUntil([&] { return after.closed(); }));
  EXPECT_TRUE(after.was_reset());
  before.Send("still here");
  EXPECT_TRUE(stage_.RunUntil([&] { return accepted.Received() == "still here"; }));

  ASSERT_TRUE(Update(IntoGroup("b", "elsewhere")).ok());
  Stream together = a_.Connect(4, 80);
  EXPECT_TRUE(stage_.RunUntil([&] { return together.established(); }));
  EXPECT_THAT(a_.violations().list(), IsEmpty());
}

TEST_F(VmUpdateTest, ApplyMakesAVmAndThenLeavesItAlone) {
  v1::ApplyVmRequest wanted = Wanted("a");
  wanted.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(7);
  wanted.mutable_vm()->mutable_spec()->set_queue_size(256);
  v1::Vm made, same;
  ASSERT_TRUE(Apply(wanted, &made).ok());
  EXPECT_EQ(made.status().state(), v1::VmStatus::LISTENING);
  EXPECT_EQ(made.generation(), 1);
  ASSERT_TRUE(Apply(wanted, &same).ok());
  EXPECT_EQ(same.generation(), 1);
  EXPECT_EQ(same.uid(), made.uid());
  EXPECT_EQ(same.resource_version(), made.resource_version());

  *wanted.mutable_vm() = made;  // what was read can be sent back
  wanted.mutable_vm()->mutable_spec()->set_tx_buffer_bytes(65536);
  wanted.mutable_vm()->mutable_spec()->set_vhost_user_socket(made.status().vhost_user_socket());
  ASSERT_TRUE(Apply(wanted, &same).ok()) << "a default that is spelled out is no change";
  EXPECT_EQ(same.generation(), 1);
}

TEST_F(VmUpdateTest, ApplyConverges) {
  v1::ApplyVmRequest wanted = Wanted("a");
  (*wanted.mutable_vm()->mutable_labels())["tier"] = "web";
  ASSERT_TRUE(Apply(wanted).ok());
  wanted.mutable_vm()->clear_labels();
  wanted.mutable_vm()->mutable_spec()->add_groups("x");
  wanted.set_validate_only(true);
  v1::Vm vm;
  ASSERT_TRUE(Apply(wanted, &vm).ok());
  EXPECT_EQ(Get("a").generation(), 1);
  wanted.set_validate_only(false);
  ASSERT_TRUE(Apply(wanted, &vm).ok());
  EXPECT_EQ(vm.generation(), 2);
  EXPECT_THAT(vm.labels(), IsEmpty()) << "what is not said any more is gone";
  EXPECT_THAT(vm.spec().groups(), ElementsAre("x"));
}

TEST_F(VmUpdateTest, ApplyNamesAllThatCannotChange) {
  ASSERT_TRUE(Apply(Wanted("a")).ok());
  v1::ApplyVmRequest wanted = Wanted("a");
  wanted.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(7);
  wanted.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
  wanted.mutable_vm()->mutable_spec()->set_vhost_user_socket(daemon_ / "a.sock");
  const grpc::Status refused = Apply(wanted);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(refused), "IMMUTABLE_FIELD");
  EXPECT_EQ(Info(refused).metadata().at("fields"), "spec.cid,spec.vhost_user_socket,spec.uds.path");
  EXPECT_EQ(Get("a").generation(), 1);
}

TEST_F(VmUpdateTest, ApplyWithAnEtagMakesNothing) {
  v1::ApplyVmRequest wanted = Wanted("a");
  wanted.set_etag("some");
  EXPECT_EQ(Reason(Apply(wanted)), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create("a").ok());
  EXPECT_EQ(Reason(Apply(wanted)), "ETAG_MISMATCH");
  wanted.set_vm_id("Bad");
  wanted.clear_etag();
  EXPECT_THAT(Fields(Apply(wanted)), ElementsAre("vm_id"));
}

}  // namespace
}  // namespace kinsock
