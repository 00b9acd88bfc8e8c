// SPDX-License-Identifier: Apache-2.0
//
// ResetVm with another CID, as clients and guests meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stream.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using testing::GuestOptions;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Reason;
using testing::SimulatedGuest;
using testing::Stream;

// Under a VMM that hands the event queue over.
GuestOptions Modern() {
  GuestOptions options;
  options.queues = 3;
  options.takes_events = true;
  return options;
}

v1::ResetVmRequest Moving(const std::string& id, uint32_t cid) {
  v1::ResetVmRequest request;
  request.set_name("vms/" + id);
  request.mutable_new_cid()->set_static_cid(cid);
  return request;
}

class NewCidTest : public testing::VmFixture {
 protected:
  grpc::Status Reset(const v1::ResetVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::ResetVm, request, vm);
  }
  grpc::Status Move(const std::string& id, uint32_t cid, v1::Vm* vm = nullptr) { return Reset(Moving(id, cid), vm); }

  // CIDs that are not free, and why.
  std::map<uint32_t, v1::CidLease> Cids() {
    v1::ListCidsRequest request;
    request.set_parent("networks/default");
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::ListCidsResponse response;
    EXPECT_TRUE(daemon_.networks().ListCids(&context, request, &response).ok());
    std::map<uint32_t, v1::CidLease> cids;
    for (const v1::CidLease& lease : response.cids()) cids[lease.cid()] = lease;
    return cids;
  }
  std::string Reserve(uint32_t cid) {
    v1::ReserveCidRequest request;
    request.set_parent("networks/default");
    request.mutable_cid()->set_static_cid(cid);
    request.set_holder("tests");
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::CidLease lease;
    EXPECT_TRUE(daemon_.networks().ReserveCid(&context, request, &lease).ok());
    return lease.name();
  }
  v1::Condition Degraded(const std::string& id) {
    const v1::Vm vm = Get(id);
    for (const v1::Condition& condition : vm.status().conditions()) {
      if (condition.type() == "Degraded") return condition;
    }
    return {};
  }
  void ExpectReached(SimulatedGuest& from, uint32_t cid, SimulatedGuest& to) {
    to.Listen(90);
    Stream stream = from.Connect(cid, 90);
    EXPECT_TRUE(stage_.RunUntil([&] { return stream.established(); }));
  }
  void ExpectRefused(SimulatedGuest& from, uint32_t cid) {
    Stream stream = from.Connect(cid, 90);
    EXPECT_TRUE(stage_.RunUntil([&] { return stream.closed(); }));
    EXPECT_TRUE(stream.was_reset());
  }

  SimulatedGuest modern_{stage_, Modern()};
};

TEST_F(NewCidTest, SiblingsReachItUnderTheNewOne) {
  Boot("a", 3, modern_);
  Boot("b", 4, b_);
  modern_.Listen(80);
  Stream caller = b_.Connect(3, 80);
  Stream callee = modern_.Accept(80);
  const v1::Vm before = Get("a");
  EXPECT_EQ(before.status().driver_cid(), 3u);

  v1::Vm after;
  ASSERT_TRUE(Move("a", 7, &after).ok());
  EXPECT_EQ(after.status().cid(), 7u);
  EXPECT_EQ(after.spec().cid().static_cid(), 7u);
  EXPECT_EQ(after.generation(), 2);
  EXPECT_EQ(after.status().observed_generation(), 2);
  EXPECT_NE(after.etag(), before.etag());
  EXPECT_EQ(after.uid(), before.uid());
  EXPECT_TRUE(stage_.RunUntil([&] { return caller.was_reset() && callee.closed(); }));
  EXPECT_TRUE(stage_.RunUntil([&] { return Get("a").status().driver_cid() == 7u; }));
  EXPECT_EQ(Degraded("a").status(), v1::Condition::FALSE);
  EXPECT_EQ(modern_.cid(), 7u);
  ExpectReached(b_, 7, modern_);
  ExpectReached(modern_, 4, b_);
  ExpectRefused(b_, 3);

  std::map<uint32_t, v1::CidLease> cids = Cids();
  EXPECT_EQ(cids[7].state(), v1::CidLease::ALLOCATED);
  EXPECT_EQ(cids[7].holder(), "vms/a");
  EXPECT_EQ(cids[3].state(), v1::CidLease::QUARANTINED);
  EXPECT_EQ(Reason(daemon_.Create("c", 3)), "CID_QUARANTINED");
  EXPECT_TRUE(Move("a", 3).ok()) << "it is the same machine to its peers";
  EXPECT_EQ(Reason(daemon_.Create("c", 7)), "CID_QUARANTINED");
  EXPECT_THAT(modern_.violations().list(), IsEmpty());
  EXPECT_THAT(b_.violations().list(), IsEmpty());
}

TEST_F(NewCidTest, UnderQemuItSaysThatTheGuestHasTheFormerOne) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  v1::Vm vm;
  ASSERT_TRUE(Move("a", 7, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 7u);
  EXPECT_EQ(vm.status().driver_cid(), 3u);
  const v1::Condition degraded = Degraded("a");
  EXPECT_EQ(degraded.reason(), "FormerCid");
  EXPECT_THAT(degraded.message(), HasSubstr("CID 3 still, not by 7"));
  ExpectRefused(a_, 4);
  ExpectRefused(b_, 3);

  // The VMM has read it; the guest does when it boots.
  ASSERT_TRUE(stage_.RunUntil([&] { return a_.machine().configured_cid() == 7u; }));
  ASSERT_TRUE(a_.Reset().ok());
  EXPECT_EQ(a_.cid(), 7u);
  EXPECT_TRUE(stage_.RunUntil([&] { return Degraded("a").status() == v1::Condition::FALSE; }));
  EXPECT_EQ(Get("a").status().driver_cid(), 7u);
  ExpectReached(a_, 4, b_);
  ExpectReached(b_, 7, a_);
}

TEST_F(NewCidTest, AnyWayToAskForACidWillDo) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  v1::ResetVmRequest request;
  request.set_name("vms/a");
  v1::Vm vm;
  request.mutable_new_cid()->mutable_range()->set_first(50);
  request.mutable_new_cid()->mutable_range()->set_last(51);
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 50u);
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 51u) << "another one each time";
  EXPECT_EQ(vm.generation(), 3);
  EXPECT_EQ(Reason(Reset(request)), "CID_RANGE_EXHAUSTED") << "the first rests";
  EXPECT_EQ(Get("a").etag(), vm.etag());

  const std::string reservation = Reserve(60);
  request.mutable_new_cid()->set_reservation(reservation);
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 60u);
  EXPECT_EQ(Cids()[60].state(), v1::CidLease::ALLOCATED);
  EXPECT_EQ(Reason(Reset(request)), "CID_NOT_FOUND") << "it is used up";

  request.mutable_new_cid()->set_automatic(true);
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_GE(vm.status().cid(), 1024u);
  request.mutable_new_cid()->Clear();
  ASSERT_TRUE(Reset(request, &vm).ok()) << "an empty message is automatic, as everywhere";
  EXPECT_TRUE(vm.spec().cid().automatic());

  // Its name remembers what it had last.
  const uint32_t last = vm.status().cid();
  ASSERT_TRUE(daemon_.Delete("a").ok());
  v1::CreateVmRequest again;
  again.set_vm_id("a");
  again.mutable_vm()->mutable_spec()->mutable_cid()->set_automatic(true);
  again.mutable_vm()->mutable_spec()->mutable_cid()->set_sticky(true);
  ASSERT_TRUE(daemon_.Create(again, &vm).ok());
  EXPECT_EQ(vm.status().cid(), last);
}

TEST_F(NewCidTest, WhatCannotBeLeavesAllAsItIs) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  a_.Listen(80);
  Stream caller = b_.Connect(3, 80);
  Stream callee = a_.Accept(80);
  const std::string etag = Get("a").etag();
  EXPECT_EQ(Reason(Move("a", 4)), "CID_IN_USE");
  Reserve(60);
  EXPECT_EQ(Reason(Move("a", 60)), "CID_IN_USE");
  ASSERT_TRUE(daemon_.Create("gone", 70).ok());
  ASSERT_TRUE(daemon_.Delete("gone").ok());
  const grpc::Status resting = Move("a", 70);
  EXPECT_EQ(Reason(resting), "CID_QUARANTINED");
  EXPECT_EQ(resting.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(Move("nobody", 80)), "VM_NOT_FOUND");
  v1::ResetVmRequest request = Moving("a", 80);
  request.set_etag("stale");
  EXPECT_EQ(Reason(Reset(request)), "ETAG_MISMATCH");
  request = Moving("a", 80);
  request.mutable_new_cid()->set_reservation("networks/other/cids/9");
  EXPECT_THAT(Fields(Reset(request)), ElementsAre("new_cid.reservation"));
  for (const uint32_t cid : {0u, 1u, 2u, 0xffff'ffffu}) {
    EXPECT_THAT(Fields(Move("a", cid)), ElementsAre("new_cid.static_cid")) << cid;
  }
  request.mutable_new_cid()->mutable_range()->set_first(2);
  EXPECT_THAT(Fields(Reset(request)), ElementsAre("new_cid.range.first", "new_cid.range.last", "new_cid.range"));

  EXPECT_EQ(Get("a").etag(), etag);
  EXPECT_EQ(Get("a").status().cid(), 3u);
  EXPECT_EQ(Cids().count(80), 0u);
  caller.Send("still here");
  EXPECT_TRUE(stage_.RunUntil([&] { return callee.Received() == "still here"; }));
}

TEST_F(NewCidTest, ACallMayBeRepeatedOrOnlyTried) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  v1::ResetVmRequest request = Moving("a", 7);
  request.set_validate_only(true);
  v1::Vm vm;
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 7u);
  EXPECT_EQ(Get("a").status().cid(), 3u);
  EXPECT_EQ(Cids().count(7), 0u);

  request.set_validate_only(false);
  request.mutable_new_cid()->set_automatic(true);
  request.set_request_id("once");
  v1::Vm first, second;
  ASSERT_TRUE(Reset(request, &first).ok());
  ASSERT_TRUE(Reset(request, &second).ok());
  EXPECT_EQ(first.status().cid(), second.status().cid());
  EXPECT_EQ(Get("a").generation(), 2);
  request.mutable_new_cid()->set_static_cid(9);
  EXPECT_EQ(Reason(Reset(request)), "REQUEST_ID_REUSED");

  // Without an id: by its number.
  ASSERT_TRUE(Move("a", 7, &first).ok());
  ASSERT_TRUE(Move("a", 7, &second).ok());
  EXPECT_EQ(second.status().cid(), 7u);
  EXPECT_EQ(first.etag(), second.etag());
  // Asking otherwise for the number it has changes what it was asked for by, and nothing else.
  ASSERT_TRUE(daemon_.Create("c", 0, &first).ok());
  ASSERT_TRUE(Move("c", first.status().cid(), &second).ok());
  EXPECT_EQ(second.status().cid(), first.status().cid());
  EXPECT_EQ(second.generation(), 2);
  EXPECT_EQ(second.spec().cid().static_cid(), first.status().cid());
}

TEST_F(NewCidTest, ApplyKnowsTheNewOneOnly) {
  v1::ApplyVmRequest apply;
  apply.set_vm_id("a");
  apply.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(3);
  ASSERT_TRUE(Apply(apply).ok());
  ASSERT_TRUE(Move("a", 7).ok());
  const grpc::Status refused = Apply(apply);
  EXPECT_EQ(Reason(refused), "IMMUTABLE_FIELD");
  EXPECT_THAT(refused.error_message(), HasSubstr("ResetVm"));
  apply.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(7);
  EXPECT_TRUE(Apply(apply).ok());
}

TEST_F(NewCidTest, WatchersAndTheEventLogSayIt) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  grpc::ClientContext vm_context, event_context;
  auto vms = daemon_.vms().WatchVms(&vm_context, v1::WatchRequest());
  v1::WatchVmsResponse seen;
  while (vms->Read(&seen) && seen.type() != v1::WatchVmsResponse::SYNCED) {
  }
  auto events = daemon_.admin().WatchEvents(&event_context, v1::WatchRequest());
  v1::Event event;
  while (events->Read(&event) && event.type() != v1::Event::SYNCED) {
  }
  ASSERT_TRUE(Move("a", 7).ok());
  ASSERT_TRUE(vms->Read(&seen));
  EXPECT_EQ(seen.type(), v1::WatchVmsResponse::MODIFIED);
  EXPECT_EQ(seen.vm().status().cid(), 7u);
  EXPECT_EQ(seen.vm().generation(), seen.vm().status().observed_generation()) << "one step";
  ASSERT_TRUE(events->Read(&event));
  EXPECT_EQ(event.reason(), "VM_CID_CHANGED");
  EXPECT_EQ(event.object(), "vms/a");
  EXPECT_EQ(event.fields().at("cid"), "7");
  EXPECT_EQ(event.fields().at("former_cid"), "3");
  ASSERT_TRUE(events->Read(&event));
  EXPECT_EQ(event.type(), v1::Event::AUDIT);
  EXPECT_EQ(event.fields().at("method"), "VmService.ResetVm");
  EXPECT_EQ(event.fields().at("cid"), "7");
  vm_context.TryCancel();
  event_context.TryCancel();
  vms->Finish();
  events->Finish();
}

TEST_F(NewCidTest, OfManyWhoWantACidOneGetsIt) {
  constexpr int kEach = 8;
  for (int i = 0; i < kEach; ++i) ASSERT_TRUE(daemon_.Create("mover" + std::to_string(i), 100 + i).ok());
  std::vector<grpc::Status> results(2 * kEach);
  std::vector<std::thread> callers;
  for (int i = 0; i < kEach; ++i) {
    callers.emplace_back([&, i] { results[2 * i] = Move("mover" + std::to_string(i), 50); });
    callers.emplace_back([&, i] { results[2 * i + 1] = daemon_.Create("maker" + std::to_string(i), 50); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(std::count_if(results.begin(), results.end(), [](const grpc::Status& each) { return each.ok(); }), 1);
  for (const grpc::Status& each : results) {
    if (!each.ok()) EXPECT_EQ(Reason(each), "CID_IN_USE");
  }
}

TEST_F(NewCidTest, ResetsAndDeletionsOfOneVmTakeTheirTurns) {
  Boot("b", 4, b_);
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(daemon_.Create("a").ok());
    std::vector<std::thread> callers;
    std::vector<grpc::Status> results(8);
    for (size_t i = 0; i < results.size(); ++i) {
      callers.emplace_back([&, i] {
        v1::ResetVmRequest request;
        request.set_name("vms/a");
        request.mutable_new_cid()->set_automatic(true);
        results[i] = Reset(request);
      });
    }
    grpc::Status deleted;
    callers.emplace_back([&] { deleted = daemon_.Delete("a"); });
    for (std::thread& caller : callers) caller.join();
    EXPECT_TRUE(deleted.ok());
    for (const grpc::Status& each : results) {
      if (!each.ok()) EXPECT_THAT(Reason(each), ::testing::AnyOf("VM_DELETING", "VM_NOT_FOUND"));
    }
  }
  for (const auto& [cid, lease] : Cids()) {
    if (lease.state() == v1::CidLease::ALLOCATED) EXPECT_EQ(lease.holder(), "vms/b");
  }
}

}  // namespace
}  // namespace kinsock
