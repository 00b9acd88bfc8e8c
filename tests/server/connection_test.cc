// SPDX-License-Identifier: Apache-2.0
//
// Connections as a client of the API meets them: all of the daemon over gRPC, simulated guests, and programs on the
// host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/server/running_daemon.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using testing::BadFields;
using ::testing::HasSubstr;
using testing::HybridClient;
using ::testing::IsEmpty;
using testing::Reason;
using testing::RunningDaemon;
using testing::SimulatedGuest;
using ::testing::SizeIs;
using testing::Stream;

using Connections = std::vector<v1::Connection>;

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Boot("a", 3, a_);
    Boot("b", 4, b_);
    Boot("c", 5, c_);
    for (SimulatedGuest* guest : {&a_, &b_, &c_}) guest->Listen(80);
  }

  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(UdsPath(id));
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(request, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_.Get("vms/" + id, &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; });
  }

  std::string UdsPath(const std::string& id) const { return daemon_ / (id + ".uds"); }

  Stream Connect(SimulatedGuest& from, SimulatedGuest& to) {
    const Stream call = from.Connect(to.cid(), 80);
    to.Accept(80);
    Run([&] { return call.established(); });
    return call;
  }

  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)); }

  grpc::Status List(const v1::ListConnectionsRequest& request, v1::ListConnectionsResponse* page) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    return daemon_.connections().ListConnections(&context, request, page);
  }

  Connections List(v1::ListConnectionsRequest request = {}) {
    Connections all;
    v1::ListConnectionsResponse page;
    do {
      EXPECT_TRUE(List(request, &page).ok());
      all.insert(all.end(), page.connections().begin(), page.connections().end());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return all;
  }

  static v1::ListConnectionsRequest Closed() {
    v1::ListConnectionsRequest request;
    request.add_states(v1::Connection::CLOSED);
    return request;
  }

  grpc::Status Reset(const v1::ResetConnectionRequest& request, v1::Connection* connection = nullptr) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    v1::Connection ignored;
    return daemon_.connections().ResetConnection(&context, request, connection != nullptr ? connection : &ignored);
  }

  grpc::Status Reset(const std::string& name, v1::Connection* connection = nullptr) {
    v1::ResetConnectionRequest request;
    request.set_name(name);
    request.set_reason("it is in the way");
    return Reset(request, connection);
  }

  RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_}, c_{stage_};
};

TEST_F(ConnectionTest, AResetEndsItForBothAndIsListed) {
  Stream call = Connect(a_, b_);
  Stream bystander = Connect(a_, c_);
  const Connections open = List();
  ASSERT_THAT(open, SizeIs(2));
  EXPECT_FALSE(open[0].has_close_time());

  v1::Connection ended;
  const grpc::Status status = Reset(open[0].name(), &ended);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(ended.name(), open[0].name());
  EXPECT_EQ(ended.state(), v1::Connection::CLOSED);
  EXPECT_EQ(ended.close_reason(), v1::Connection::ADMIN_RESET);
  EXPECT_EQ(ended.initiator().vm(), "vms/a");
  EXPECT_EQ(ended.target().vm(), "vms/b");
  EXPECT_TRUE(ended.has_close_time());
  Run([&] { return call.closed(); });
  EXPECT_TRUE(call.was_reset());
  EXPECT_TRUE(bystander.established());

  EXPECT_THAT(List(), SizeIs(1));
  const Connections closed = List(Closed());
  ASSERT_THAT(closed, SizeIs(1));
  EXPECT_EQ(closed[0].name(), ended.name());
  EXPECT_EQ(closed[0].close_reason(), v1::Connection::ADMIN_RESET);
  EXPECT_TRUE(Reset(ended.name(), &ended).ok()) << "a client that lost the answer asks again";
}

TEST_F(ConnectionTest, AResetClosesTheSocketOfAHostProgram) {
  HybridClient program(stage_, UdsPath("a"));
  program.Connect(80);
  a_.Accept(80);
  Run([&] { return program.ok_port().has_value(); });
  const Connections open = List();
  ASSERT_THAT(open, SizeIs(1));
  v1::Connection ended;
  ASSERT_TRUE(Reset(open[0].name(), &ended).ok());
  EXPECT_EQ(ended.initiator().host_path(), UdsPath("a"));
  EXPECT_EQ(ended.initiator().host_pid(), getpid());
  Run([&] { return program.at_eof(); });
}

TEST_F(ConnectionTest, WhatCannotBeResetSaysWhy) {
  Stream call = Connect(a_, b_);
  const std::string name = List().at(0).name();
  v1::ResetConnectionRequest only_checked;
  only_checked.set_name(name);
  only_checked.set_validate_only(true);
  v1::Connection connection;
  ASSERT_TRUE(Reset(only_checked, &connection).ok());
  EXPECT_EQ(connection.state(), v1::Connection::ESTABLISHED);

  call.Close();
  Run([&] { return !List(Closed()).empty(); });
  grpc::Status status = Reset(name);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(status), "CONNECTION_CLOSED");
  EXPECT_EQ(testing::Info(status).metadata().at("close_reason"), "FINISHED");
  status = Reset(only_checked);
  EXPECT_EQ(Reason(status), "CONNECTION_CLOSED");

  for (const std::string& unknown :
       {name + "9", std::string("connections/00000000-1"), std::string("connections/x-1")}) {
    status = Reset(unknown);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << unknown;
    EXPECT_EQ(Reason(status), "CONNECTION_NOT_FOUND");
    only_checked.set_name(unknown);
    EXPECT_EQ(Reason(Reset(only_checked)), "CONNECTION_NOT_FOUND");
  }
  for (const std::string bad :
       {"", "vms/a", "connections/", "connections/1", "connections/x-", "connections/x-99999999999999999999"}) {
    status = Reset(bad);
    EXPECT_EQ(Reason(status), "FIELD_INVALID") << bad;
    EXPECT_EQ(BadFields(status).field_violations(0).field(), "name");
  }
  v1::ResetConnectionRequest long_winded;
  long_winded.set_name(name);
  long_winded.set_reason(std::string(257, 'x'));
  status = Reset(long_winded);
  EXPECT_EQ(BadFields(status).field_violations(0).field(), "reason");
}

TEST_F(ConnectionTest, AListIsOfOneVmOrOfSomeStates) {
  Connect(a_, b_);
  Connect(b_, c_);
  Stream half = Connect(c_, a_);
  half.ShutdownSend();
  v1::ListConnectionsRequest half_closed;
  half_closed.add_states(v1::Connection::HALF_CLOSED);
  Run([&] { return List(half_closed).size() == 1; });
  EXPECT_EQ(List(half_closed)[0].initiator().vm(), "vms/c");

  v1::ListConnectionsRequest of_b;
  of_b.set_vm("vms/b");
  EXPECT_THAT(List(of_b), SizeIs(2));
  of_b.set_page_size(1);
  EXPECT_THAT(List(of_b), SizeIs(2)) << "page by page";
  of_b.set_vm("vms/nobody");
  EXPECT_THAT(List(of_b), IsEmpty());

  half_closed.add_states(v1::Connection::ESTABLISHED);
  EXPECT_THAT(List(half_closed), SizeIs(3));
}

TEST_F(ConnectionTest, ThoseThatCarryTheMostComeFirstWhenAsked) {
  Stream few = Connect(a_, b_), many = Connect(b_, c_), some = Connect(c_, a_);
  few.SendPattern(1, 10);
  many.SendPattern(1, 100'000);
  some.SendPattern(1, 1000);
  v1::ListConnectionsRequest request;
  request.set_order_by("-bytes");
  const auto bytes = [&](int i) { return List(request).at(static_cast<size_t>(i)).to_target().bytes(); };
  Run([&] { return bytes(0) == 100'000 && bytes(1) == 1000 && bytes(2) == 10; });
  request.set_page_size(2);
  v1::ListConnectionsResponse page;
  ASSERT_TRUE(List(request, &page).ok());
  EXPECT_THAT(page.connections(), SizeIs(2));
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(ConnectionTest, ThoseThatCarryTheMostNowComeFirstWhenAsked) {
  Stream early = Connect(a_, c_);
  early.SendPattern(1, 200'000);
  v1::ListConnectionsRequest request;
  Run([&] { return List(request).at(0).to_target().bytes() == 200'000; });
  Stream now = Connect(a_, b_);
  request.set_order_by("-bytes_per_second");
  v1::ListConnectionsResponse page;
  Run([&] {
    now.SendPattern(1, 1000);
    return List(request, &page).ok() && page.connections_size() == 2 && page.connections(0).target().vm() == "vms/b" &&
           page.connections(0).to_target().bytes_per_second() > 0;
  });
  EXPECT_EQ(page.connections(0).to_initiator().bytes_per_second(), 0u);
  EXPECT_EQ(page.unmeasured(), 0u);
  EXPECT_GE(page.rate_interval().seconds(), 1);
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(ConnectionTest, AListThatMakesNoSenseNamesAllThatIsWrong) {
  v1::ListConnectionsRequest request;
  request.set_page_size(-1);
  request.set_vm("b");
  request.add_states(static_cast<v1::Connection::State>(77));
  request.set_order_by("beauty");
  v1::ListConnectionsResponse page;
  const grpc::Status status = List(request, &page);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  std::vector<std::string> fields;
  const google::rpc::BadRequest bad = BadFields(status);
  for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  EXPECT_THAT(fields, ::testing::UnorderedElementsAre("page_size", "vm", "states[0]", "order_by"));
}

TEST_F(ConnectionTest, TheEndedNameAVmThatWasDeleted) {
  Connect(a_, b_);
  b_.Kill();
  ASSERT_TRUE(daemon_.Delete("b", true).ok());
  Connections closed;
  Run([&] { return !(closed = List(Closed())).empty(); });
  EXPECT_EQ(closed[0].initiator().vm(), "vms/a");
  EXPECT_EQ(closed[0].target().vm(), "vms/b");
  EXPECT_EQ(closed[0].close_reason(), v1::Connection::PEER_GONE);
  v1::ListConnectionsRequest of_b = Closed();
  of_b.set_vm("vms/b");
  EXPECT_THAT(List(of_b), SizeIs(1));
}

TEST_F(ConnectionTest, OneVmThatCallsAndHangsUpWithoutEndIsForgottenFirst) {
  Stream kept = Connect(b_, c_);
  kept.Close();
  Run([&] { return List(Closed()).size() == 1; });
  v1::ListConnectionsResponse page;
  for (int i = 0; i < 600; ++i) {
    const Stream call = a_.Connect(99, 80);
    Run([&] { return call.closed(); });
  }
  ASSERT_TRUE(List(Closed(), &page).ok());
  EXPECT_EQ(page.forgotten(), 600u - 512u);
  EXPECT_EQ(page.connections(0).initiator().vm(), "vms/b");
}

}  // namespace
}  // namespace kinsock
