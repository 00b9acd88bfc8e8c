// SPDX-License-Identifier: Apache-2.0
//
// DrainVm, ResumeVm and DeleteVm with a drain, as a client, two guests and programs on the host meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stream.h"

namespace kinsock {
namespace {

using testing::HybridClient;
using ::testing::IsEmpty;
using testing::Reason;
using testing::Stream;
using ::testing::UnorderedElementsAre;

class VmDrainTest : public testing::VmFixture {
 protected:
  // "a", with a host side, and "b".
  void BootBoth() {
    v1::CreateVmRequest creation;
    creation.set_vm_id("a");
    creation.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(3);
    creation.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
    ASSERT_TRUE(daemon_.Create(creation).ok());
    PowerOn("a", a_);
    Boot("b", 4, b_);
  }
  // A connection from a program in "b" to one in "a".
  std::pair<Stream, Stream> Call80() {
    a_.Listen(80);
    Stream caller = b_.Connect(3, 80);
    Stream callee = a_.Accept(80);
    return {caller, callee};
  }
  bool IsRefused(Stream stream) {
    return stage_.RunUntil([&] { return stream.closed(); }) && stream.was_reset();
  }
  static v1::DrainVmRequest Of(const std::string& id) {
    v1::DrainVmRequest request;
    request.set_name("vms/" + id);
    return request;
  }
  static v1::ResumeVmRequest EndOf(const std::string& id) {
    v1::ResumeVmRequest request;
    request.set_name("vms/" + id);
    return request;
  }
  // Connections that can be listed and ended for `reason`.
  size_t ListedAsEnded(v1::Connection::CloseReason reason) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListConnectionsRequest request;
    request.add_states(v1::Connection::CLOSED);
    v1::ListConnectionsResponse page;
    EXPECT_TRUE(daemon_.connections().ListConnections(&context, request, &page).ok());
    return static_cast<size_t>(
        std::count_if(page.connections().begin(), page.connections().end(),
                      [&](const v1::Connection& connection) { return connection.close_reason() == reason; }));
  }
  v1::Stats Stats(const std::string& id) {
    v1::GetVmRequest request;
    request.set_name("vms/" + id);
    request.set_view(v1::FULL);
    v1::Vm vm;
    EXPECT_TRUE(Call(&v1::VmService::Stub::GetVm, request, &vm).ok());
    return vm.status().stats();
  }
};

TEST_F(VmDrainTest, NothingBeginsAndWhatExistsMayFinish) {
  BootBoth();
  const std::pair<Stream, Stream> call = Call80();
  Stream caller = call.first, callee = call.second;
  HybridClient program(stage_, daemon_ / "a.uds");

  v1::Vm vm;
  ASSERT_TRUE(Drain(Of("a"), &vm).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::DRAINING);
  EXPECT_EQ(vm.generation(), 1) << "it is no change of the spec";
  EXPECT_TRUE(IsRefused(b_.Connect(3, 80))) << "a sibling calls";
  EXPECT_TRUE(IsRefused(a_.Connect(4, 80))) << "it calls a sibling";
  EXPECT_TRUE(IsRefused(a_.Connect(2, 80))) << "it calls the host";
  program.Connect(80);
  EXPECT_TRUE(stage_.RunUntil([&] { return program.at_eof(); })) << "the host calls";
  EXPECT_FALSE(program.ok_port().has_value());
  EXPECT_EQ(Stats("a").from_guest().connects_refused().at("DRAIN"), 2u);
  EXPECT_EQ(Stats("a").to_guest().connects_refused().at("DRAIN"), 1u);
  EXPECT_EQ(Stats("b").from_guest().connects_refused().at("DRAIN"), 1u);
  EXPECT_EQ(ListedAsEnded(v1::Connection::DRAIN), 4u) << "whoever called";

  callee.Send("bye");
  ASSERT_TRUE(stage_.RunUntil([&] { return caller.Received() == "bye"; }));
  EXPECT_EQ(Get("a").status().state(), v1::VmStatus::DRAINING);
  caller.Close();
  callee.Close();
  Await("a", v1::VmStatus::DRAINED);
  EXPECT_EQ(Stats("a").closes().count("DRAIN"), 0u);

  ASSERT_TRUE(Resume(EndOf("a"), &vm).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::ACTIVE);
  Stream again = Call80().first;
  EXPECT_TRUE(stage_.RunUntil([&] { return again.established(); }));
  EXPECT_THAT(a_.violations().list(), IsEmpty());
  EXPECT_THAT(b_.violations().list(), IsEmpty());
}

TEST_F(VmDrainTest, WhatIsLeftAtTheDeadlineIsReset) {
  BootBoth();
  const std::pair<Stream, Stream> call = Call80();
  Stream caller = call.first, callee = call.second;
  v1::DrainVmRequest drain = Of("a");
  drain.set_reset_remaining(true);
  drain.mutable_deadline()->set_nanos(1);
  ASSERT_TRUE(Drain(drain).ok());
  Await("a", v1::VmStatus::DRAINED);
  EXPECT_TRUE(IsRefused(caller));
  EXPECT_TRUE(IsRefused(callee));
  EXPECT_EQ(Stats("a").closes().at("DRAIN"), 1u);
  EXPECT_EQ(Stats("b").closes().at("DRAIN"), 1u);
}

TEST_F(VmDrainTest, ADrainStaysWhateverTheVmmDoes) {
  BootBoth();
  v1::Vm vm;
  ASSERT_TRUE(Drain(Of("a"), &vm).ok());
  EXPECT_EQ(vm.status().state(), v1::VmStatus::DRAINED) << "there was nothing to wait for";
  a_.Kill();
  ASSERT_TRUE(stage_.RunUntil([&] { return !Get("a").status().has_front_end(); }));
  EXPECT_EQ(Get("a").status().state(), v1::VmStatus::DRAINED);
  ASSERT_TRUE(a_.PowerOn(vm.status().vhost_user_socket()).ok());
  ASSERT_TRUE(stage_.RunUntil([&] { return Get("a").status().conditions(1).status() == v1::Condition::TRUE; }));
  EXPECT_TRUE(IsRefused(b_.Connect(3, 80)));
  ASSERT_TRUE(Drain(Of("a"), &vm).ok()) << "once more";
  EXPECT_EQ(vm.status().state(), v1::VmStatus::DRAINED);
}

TEST_F(VmDrainTest, DrainsHavePreconditions) {
  EXPECT_EQ(Reason(Drain(Of("a"))), "VM_NOT_FOUND");
  EXPECT_EQ(Reason(Resume(EndOf("a"))), "VM_NOT_FOUND");
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::DrainVmRequest bad = Of("A");
  bad.set_request_id("no spaces");
  bad.mutable_deadline()->set_seconds(86401);
  EXPECT_THAT(Fields(Drain(bad)), UnorderedElementsAre("name", "request_id", "deadline", "deadline"));
  v1::DrainVmRequest drain = Of("a");
  drain.set_etag("old");
  EXPECT_EQ(Reason(Drain(drain)), "ETAG_MISMATCH");
  drain.set_etag(Get("a").etag());
  drain.set_validate_only(true);
  ASSERT_TRUE(Drain(drain).ok());
  EXPECT_EQ(Get("a").status().state(), v1::VmStatus::LISTENING);
}

TEST_F(VmDrainTest, ADeletionMayWaitForConnections) {
  BootBoth();
  const std::pair<Stream, Stream> call = Call80();
  Stream caller = call.first, callee = call.second;
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_force(true);
  deletion.mutable_drain_timeout()->set_seconds(3600);
  std::future<grpc::Status> deleted = std::async(std::launch::async, [&] { return daemon_.Delete(deletion); });
  Await("a", v1::VmStatus::DRAINING);
  EXPECT_EQ(Reason(Resume(EndOf("a"))), "VM_DELETING");
  callee.Send("bye");
  ASSERT_TRUE(stage_.RunUntil([&] { return caller.Received() == "bye"; }));
  caller.Close();
  callee.Close();
  EXPECT_TRUE(stage_.RunUntil([&] { return daemon_.Get("vms/a").error_code() == grpc::StatusCode::NOT_FOUND; }));
  EXPECT_TRUE(deleted.get().ok());
}

TEST_F(VmDrainTest, ADeletionThatWaitsDoesNotHoldUpTheDaemonsStop) {
  BootBoth();
  Call80();
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_force(true);
  deletion.mutable_drain_timeout()->set_seconds(24 * 3600);
  grpc::ClientContext context;  // without a deadline: only the daemon can end it
  v1::Vm last;
  std::future<grpc::Status> deleted =
      std::async(std::launch::async, [&] { return daemon_.vms().DeleteVm(&context, deletion, &last); });
  Await("a", v1::VmStatus::DRAINING);
  daemon_.Stop();
  const grpc::Status status = deleted.get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(status), "SHUTTING_DOWN");
}

TEST_F(VmDrainTest, ADeletionWaitsNoLongerThanItWasTold) {
  BootBoth();
  const std::pair<Stream, Stream> call = Call80();
  Stream caller = call.first, callee = call.second;
  v1::DeleteVmRequest deletion;
  deletion.set_name("vms/a");
  deletion.set_force(true);
  deletion.mutable_drain_timeout()->set_nanos(1);
  ASSERT_TRUE(daemon_.Delete(deletion).ok());
  EXPECT_TRUE(IsRefused(caller));
  EXPECT_EQ(Stats("b").closes().at("PEER_GONE"), 1u);

  ASSERT_TRUE(daemon_.Create("c").ok());
  v1::DrainVmRequest drain = Of("c");
  ASSERT_TRUE(Drain(drain).ok());
  deletion.set_name("vms/c");
  deletion.mutable_drain_timeout()->set_seconds(3600);
  EXPECT_TRUE(daemon_.Delete(deletion).ok()) << "it is drained already";
}

}  // namespace
}  // namespace kinsock
