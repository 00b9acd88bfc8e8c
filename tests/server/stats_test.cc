// SPDX-License-Identifier: Apache-2.0
//
// Statistics as a client of the API meets them: all of the daemon over gRPC, and simulated guests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "google/protobuf/util/message_differencer.h"
#include "google/protobuf/util/time_util.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::TimeUtil;
using testing::BadFields;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;
using testing::SimulatedGuest;
using ::testing::SizeIs;

class StatsTest : public ::testing::Test {
 protected:
  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(id, cid, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Await(id, v1::VmStatus::ACTIVE);
  }

  void Await(const std::string& id, v1::VmStatus::State state) {
    EXPECT_TRUE(stage_.RunUntil([&] { return Full(id).status().state() == state; }));
  }

  v1::Vm Full(const std::string& id) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::GetVmRequest request;
    request.set_name("vms/" + id);
    request.set_view(v1::FULL);
    v1::Vm vm;
    EXPECT_TRUE(daemon_.vms().GetVm(&context, request, &vm).ok());
    return vm;
  }

  grpc::Status GetStats(const v1::GetStatsRequest& request, v1::StatsReport* report) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    return daemon_.connections().GetStats(&context, request, report);
  }

  v1::StatsReport OfDaemon() {
    v1::StatsReport report;
    EXPECT_TRUE(GetStats(v1::GetStatsRequest(), &report).ok());
    return report;
  }

  v1::StatsReport OfVm(const std::string& id) {
    v1::GetStatsRequest request;
    request.set_scope(v1::GetStatsRequest::VM);
    request.set_vm("vms/" + id);
    v1::StatsReport report;
    EXPECT_TRUE(GetStats(request, &report).ok());
    return report;
  }

  // `bytes` from a program in `from` to one in `to`; the connection stays.
  void Send(SimulatedGuest& from, SimulatedGuest& to, uint64_t bytes) {
    to.Listen(80);
    testing::Stream client = from.Connect(to.cid(), 80);
    testing::Stream server = to.Accept(80);
    server.ExpectPattern(1);
    client.SendPattern(1, bytes);
    EXPECT_TRUE(stage_.RunUntil([&] { return server.received_bytes() == bytes; }));
  }

  RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_};
};

TEST_F(StatsTest, AVmTellsThemToWhoAsksForEverything) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 100'000);
  const v1::Vm a = Full("a"), b = Full("b");
  EXPECT_EQ(a.status().stats().from_guest().sibling_bytes(), 100'000u);
  EXPECT_EQ(a.status().stats().from_guest().connects_accepted(), 1u);
  EXPECT_EQ(b.status().stats().to_guest().sibling_bytes(), 100'000u);
  EXPECT_EQ(b.status().stats().to_guest().connects_accepted(), 1u);
  EXPECT_EQ(b.status().stats().to_guest().host_bytes(), 0u);
  EXPECT_EQ(a.status().stats().front_end_connects(), 1u);
  EXPECT_TRUE(MessageDifferencer::Equals(a.status().stats().since(), a.create_time()));

  v1::Vm basic;
  ASSERT_TRUE(daemon_.Get("vms/a", &basic).ok());
  EXPECT_FALSE(basic.status().has_stats());
}

TEST_F(StatsTest, AListTellsThemOfEach) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  v1::ListVmsRequest request;
  v1::ListVmsResponse page;
  ASSERT_TRUE(daemon_.List(request, &page).ok());
  EXPECT_FALSE(page.vms(0).status().has_stats());
  request.set_view(v1::FULL);
  ASSERT_TRUE(daemon_.List(request, &page).ok());
  ASSERT_THAT(page.vms(), SizeIs(2));
  EXPECT_EQ(page.vms(0).status().stats().from_guest().sibling_bytes(), 1000u);
  EXPECT_EQ(page.vms(1).status().stats().to_guest().sibling_bytes(), 1000u);
}

TEST_F(StatsTest, ReadingChangesNothing) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  // As soon as the last credit update is through, nothing but a reading could.
  v1::StatsReport first, second;
  EXPECT_TRUE(stage_.RunUntil([&] {
    first = OfVm("a");
    second = OfVm("a");
    return MessageDifferencer::Equals(first.stats(), second.stats());
  })) << first.stats().DebugString()
      << second.stats().DebugString();
  EXPECT_EQ(second.stats().from_guest().sibling_bytes(), 1000u);
  EXPECT_EQ(first.vm(), "vms/a");
  EXPECT_EQ(first.instance_id(), daemon_.Info().instance_id());
  EXPECT_GE(TimeUtil::TimestampToNanoseconds(second.time()), TimeUtil::TimestampToNanoseconds(first.time()));
}

TEST_F(StatsTest, ADeletedVmStaysInTheSumOfAll) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  const v1::StatsReport before = OfDaemon();
  EXPECT_EQ(before.vm(), "");
  EXPECT_EQ(before.stats().from_guest().sibling_bytes(), 1000u);
  EXPECT_EQ(before.stats().to_guest().sibling_bytes(), 1000u);
  EXPECT_EQ(before.stats().front_end_connects(), 2u);

  ASSERT_TRUE(daemon_.Delete("a", true).ok());
  EXPECT_TRUE(stage_.RunUntil([&] { return b_.open_connections() == 0; }));
  const v1::StatsReport after = OfDaemon();
  EXPECT_EQ(after.stats().from_guest().sibling_bytes(), 1000u);
  EXPECT_EQ(after.stats().closes().at("PEER_GONE"), 2u) << "at each end";
  EXPECT_TRUE(MessageDifferencer::Equals(after.stats().since(), before.stats().since()));

  // Its name is a new VM's now, which has counted nothing.
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  EXPECT_EQ(OfVm("a").stats().from_guest().sibling_bytes(), 0u);
  EXPECT_EQ(OfDaemon().stats().from_guest().sibling_bytes(), 1000u);
}

TEST_F(StatsTest, AVmmThatComesBackGoesOnCounting) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  a_.Kill();
  Await("a", v1::VmStatus::LISTENING);
  ASSERT_TRUE(a_.PowerOn(Full("a").status().vhost_user_socket()).ok());
  Await("a", v1::VmStatus::ACTIVE);
  Send(a_, b_, 500);
  const v1::Stats stats = OfVm("a").stats();
  EXPECT_EQ(stats.from_guest().sibling_bytes(), 1500u);
  EXPECT_EQ(stats.front_end_connects(), 2u);
  EXPECT_EQ(stats.closes().at("PEER_GONE"), 1u);
}

TEST_F(StatsTest, AConnectionTellsItsCreditAndItsStalls) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  b_.Listen(80);
  testing::Stream client = a_.Connect(4, 80);
  testing::Stream server = b_.Accept(80);
  server.PauseReading();
  client.SendPattern(1, 1u << 20);
  EXPECT_TRUE(stage_.RunUntil([&] { return server.connection().unread() == 256 * 1024; }));
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::ListConnectionsResponse page;
  ASSERT_TRUE(daemon_.connections().ListConnections(&context, v1::ListConnectionsRequest(), &page).ok());
  ASSERT_THAT(page.connections(), SizeIs(1));
  const v1::Flow& flow = page.connections(0).to_target();
  EXPECT_EQ(flow.credit(), 0u);
  EXPECT_EQ(flow.credit_stalls(), 1u);
  EXPECT_GT(TimeUtil::DurationToNanoseconds(flow.stalled()), 0);
  EXPECT_EQ(page.connections(0).to_initiator().credit(), 256u * 1024);
  EXPECT_EQ(page.connections(0).to_initiator().credit_stalls(), 0u);
}

TEST_F(StatsTest, WhatCannotBeAskedIsNamed) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  v1::StatsReport report;
  v1::GetStatsRequest request;
  request.set_vm("vms/a");
  const grpc::Status no_scope = GetStats(request, &report);
  EXPECT_EQ(Reason(no_scope), "FIELD_INVALID");
  EXPECT_EQ(BadFields(no_scope).field_violations(0).field(), "vm");
  request.set_scope(v1::GetStatsRequest::VM);
  request.set_vm("a");
  EXPECT_EQ(BadFields(GetStats(request, &report)).field_violations(0).field(), "vm");
  request.set_vm("vms/nobody");
  EXPECT_EQ(Reason(GetStats(request, &report)), "VM_NOT_FOUND");
  request.set_scope(static_cast<v1::GetStatsRequest::Scope>(9));
  EXPECT_EQ(BadFields(GetStats(request, &report)).field_violations(0).field(), "scope");

  v1::ListVmsRequest list;
  list.set_view(static_cast<v1::View>(9));
  v1::ListVmsResponse page;
  EXPECT_EQ(BadFields(daemon_.List(list, &page)).field_violations(0).field(), "view");
  EXPECT_THAT(page.vms(), IsEmpty());
  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::GetVmRequest get;
  get.set_name("vms/a");
  get.set_view(static_cast<v1::View>(9));
  v1::Vm vm;
  EXPECT_EQ(BadFields(daemon_.vms().GetVm(&context, get, &vm)).field_violations(0).field(), "view");
}

}  // namespace
}  // namespace kinsock
