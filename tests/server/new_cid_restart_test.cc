// SPDX-License-Identifier: Apache-2.0
//
// A VM gets another CID, and kinsockd is killed, or its disk is full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"

namespace kinsock {
namespace {

using testing::Reason;

class NewCidRestartTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(daemon_.Start()) << daemon_.errors(); }

  grpc::Status Move(const std::string& id, uint32_t cid, v1::Vm* vm = nullptr) {
    v1::ResetVmRequest request;
    request.set_name("vms/" + id);
    request.mutable_new_cid()->set_static_cid(cid);
    return Reset(request, vm);
  }
  grpc::Status Reset(const v1::ResetVmRequest& request, v1::Vm* vm = nullptr) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::Vm ignored;
    return daemon_.vms().ResetVm(&context, request, vm != nullptr ? vm : &ignored);
  }
  v1::CidLease::State StateOf(uint32_t cid) {
    v1::ListCidsRequest request;
    request.set_parent("networks/default");
    const auto networks = v1::NetworkService::NewStub(daemon_.channel());
    do {
      grpc::ClientContext context;
      testing::SetDeadline(context);
      v1::ListCidsResponse response;
      EXPECT_TRUE(networks->ListCids(&context, request, &response).ok());
      for (const v1::CidLease& lease : response.cids()) {
        if (lease.cid() == cid) return lease.state();
      }
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return v1::CidLease::STATE_UNSPECIFIED;  // it is free
  }
  void LimitFiles(rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
  }

  testing::DaemonProcess daemon_;
};

TEST_F(NewCidRestartTest, WhatWasAnsweredIsThereAfterAKill) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  v1::ResetVmRequest request;
  request.set_name("vms/a");
  request.set_request_id("once");
  request.mutable_new_cid()->mutable_range()->set_first(50);
  request.mutable_new_cid()->mutable_range()->set_last(59);
  v1::Vm vm;
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 50u);
  daemon_.Kill();
  ASSERT_TRUE(daemon_.Start());
  const v1::Vm again = daemon_.Get("a");
  EXPECT_EQ(again.status().cid(), 50u);
  EXPECT_EQ(again.spec().cid().range().first(), 50u);
  EXPECT_EQ(again.etag(), vm.etag());
  EXPECT_EQ(again.uid(), vm.uid());
  EXPECT_EQ(StateOf(3), v1::CidLease::QUARANTINED);
  EXPECT_EQ(Reason(daemon_.Create("b", 3)), "CID_QUARANTINED");
  EXPECT_EQ(Reason(daemon_.Create("b", 50)), "CID_IN_USE");
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 50u) << "the client that lost the answer asks again";
  request.clear_request_id();
  ASSERT_TRUE(Reset(request, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 51u) << "it goes on where it was";
}

TEST_F(NewCidRestartTest, AKillAtAnyMomentLeavesTheOneOrTheOther) {
  ASSERT_TRUE(daemon_.Create("a", 1000).ok());
  uint32_t answered = 1000;
  for (int round = 0; round < 10; ++round) {
    uint32_t asked = answered;
    std::thread mover([&] {
      while (Move("a", asked + 1).ok()) answered = ++asked;
      ++asked;
    });
    daemon_.Kill(std::chrono::milliseconds(3 * round));
    mover.join();
    ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
    const uint32_t now = daemon_.Get("a").status().cid();
    EXPECT_TRUE(now == answered || now == asked) << now << " after " << answered << " and " << asked;
    EXPECT_EQ(StateOf(now), v1::CidLease::ALLOCATED);
    if (now > 1000) EXPECT_EQ(StateOf(now - 1), v1::CidLease::QUARANTINED);
    EXPECT_EQ(StateOf(now + 1), v1::CidLease::STATE_UNSPECIFIED);
    answered = now;
  }
}

TEST_F(NewCidRestartTest, AFullDiskChangesNothing) {
  ASSERT_TRUE(daemon_.Create("a", 3).ok());
  const std::string etag = daemon_.Get("a").etag();
  v1::CidLease lease;
  {
    v1::ReserveCidRequest reserve;
    reserve.set_parent("networks/default");
    reserve.mutable_cid()->set_static_cid(44);
    reserve.set_holder("tests");
    grpc::ClientContext context;
    testing::SetDeadline(context);
    ASSERT_TRUE(v1::NetworkService::NewStub(daemon_.channel())->ReserveCid(&context, reserve, &lease).ok());
  }
  LimitFiles(1);
  EXPECT_EQ(Reason(Move("a", 7)), "STORE_FAILED");
  v1::ResetVmRequest request;
  request.set_name("vms/a");
  request.mutable_new_cid()->set_reservation(lease.name());
  EXPECT_EQ(Reason(Reset(request)), "STORE_FAILED");
  EXPECT_EQ(daemon_.Get("a").status().cid(), 3u);
  EXPECT_EQ(daemon_.Get("a").etag(), etag);
  EXPECT_EQ(StateOf(3), v1::CidLease::ALLOCATED);
  EXPECT_EQ(StateOf(7), v1::CidLease::STATE_UNSPECIFIED);
  EXPECT_EQ(StateOf(44), v1::CidLease::RESERVED);
  LimitFiles(RLIM_INFINITY);
  EXPECT_TRUE(Reset(request).ok());
  EXPECT_EQ(daemon_.Get("a").status().cid(), 44u);
  EXPECT_TRUE(daemon_.Create("b", 7).ok());
}

}  // namespace
}  // namespace kinsock
