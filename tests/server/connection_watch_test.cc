// SPDX-License-Identifier: Apache-2.0
//
// WatchConnections as a client meets it: all of the daemon over gRPC, and simulated guests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/rpc/api_limits.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock {
namespace {

using Change = v1::WatchConnectionsResponse;
using Request = v1::WatchConnectionsRequest;
using testing::BadFields;
using testing::Reason;
using testing::RunningDaemon;
using testing::SimulatedGuest;
using testing::Stream;

// A client's watch of connections.
class Watch {
 public:
  explicit Watch(v1::ConnectionService::Stub& stub, const Request& request = {}) {
    testing::SetDeadline(context_);
    stream_ = stub.WatchConnections(&context_, request);
  }
  ~Watch() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  bool Read() { return stream_->Read(&last_); }
  // Reads until one for which `wanted` holds. False: the watch ended before.
  bool Await(const std::function<bool(const Change&)>& wanted) {
    while (Read()) {
      if (wanted(last_)) return true;
    }
    return false;
  }
  bool Await(Change::Type type) {
    return Await([type](const Change& change) { return change.type() == type; });
  }
  const Change& last() const { return last_; }
  const v1::Connection& connection() const { return last_.connection(); }
  grpc::Status End() {
    finished_ = true;
    while (Read()) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Change>> stream_;
  Change last_;
  bool finished_ = false;
};

class ConnectionWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Boot("a", 3, a_);
    Boot("b", 4, b_);
    Boot("c", 5, c_);
    for (SimulatedGuest* guest : {&a_, &b_, &c_}) guest->Listen(80);
  }

  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(id, cid, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    Run([&] { return daemon_.Get("vms/" + id, &vm).ok() && vm.status().state() == v1::VmStatus::ACTIVE; });
  }

  Stream Connect(SimulatedGuest& from, SimulatedGuest& to) {
    const Stream call = from.Connect(to.cid(), 80);
    to.Accept(80);
    Run([&] { return call.established(); });
    return call;
  }

  // A connection that is refused, for nobody has that CID.
  void CallNobody(SimulatedGuest& from) {
    const Stream call = from.Connect(99, 80);
    Run([&] { return call.closed(); });
  }

  // Until the daemon knows a connection of `vm` in `state`.
  void AwaitState(const std::string& vm, v1::Connection::State state) {
    Run([&] {
      grpc::ClientContext context;
      testing::SetDeadline(context);
      v1::ListConnectionsRequest request;
      request.set_vm(vm);
      request.add_states(state);
      v1::ListConnectionsResponse page;
      return daemon_.connections().ListConnections(&context, request, &page).ok() && page.connections_size() > 0;
    });
  }

  void Run(const std::function<bool()>& done) { ASSERT_TRUE(stage_.RunUntil(done)); }

  static std::function<bool(const Change&)> IsCall(const std::string& from, const std::string& to) {
    return [=](const Change& change) {
      return change.connection().initiator().vm() == from && change.connection().target().vm() == to;
    };
  }

  RunningDaemon daemon_;
  testing::Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_}, c_{stage_};
};

TEST_F(ConnectionWatchTest, AConnectionIsToldOfFromItsBeginningToItsEnd) {
  Stream early = Connect(a_, b_);
  Watch watch(daemon_.connections());
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::ADDED);
  EXPECT_EQ(watch.connection().initiator().vm(), "vms/a");
  EXPECT_EQ(watch.connection().state(), v1::Connection::ESTABLISHED);
  EXPECT_EQ(watch.last().resource_version(), "");
  const std::string name = watch.connection().name();
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::SYNCED);
  EXPECT_NE(watch.last().resource_version(), "");

  Stream call = Connect(b_, c_);
  ASSERT_TRUE(watch.Await(IsCall("vms/b", "vms/c")));
  EXPECT_EQ(watch.last().type(), Change::ADDED);
  EXPECT_NE(watch.last().resource_version(), "");

  early.ShutdownSend();
  AwaitState("vms/a", v1::Connection::HALF_CLOSED);
  ASSERT_TRUE(watch.Await(IsCall("vms/a", "vms/b")));
  EXPECT_EQ(watch.last().type(), Change::MODIFIED);
  EXPECT_EQ(watch.connection().state(), v1::Connection::HALF_CLOSED);

  grpc::ClientContext context;
  testing::SetDeadline(context);
  v1::ResetConnectionRequest reset;
  reset.set_name(name);
  v1::Connection ended;
  ASSERT_TRUE(daemon_.connections().ResetConnection(&context, reset, &ended).ok());
  ASSERT_TRUE(watch.Await(Change::DELETED));
  EXPECT_EQ(watch.connection().name(), name);
  EXPECT_EQ(watch.connection().state(), v1::Connection::CLOSED);
  EXPECT_EQ(watch.connection().close_reason(), v1::Connection::ADMIN_RESET);
  EXPECT_TRUE(watch.connection().has_close_time());
}

TEST_F(ConnectionWatchTest, WhatIsNeverSeenOpenIsToldOnceWithItsReason) {
  CallNobody(a_);  // before anybody watches: no news
  Watch watch(daemon_.connections());
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::SYNCED);
  CallNobody(b_);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::DELETED);
  EXPECT_EQ(watch.connection().initiator().vm(), "vms/b");
  EXPECT_NE(watch.connection().close_reason(), v1::Connection::CLOSE_REASON_UNSPECIFIED);
  CallNobody(c_);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.connection().initiator().vm(), "vms/c") << "the other was told once";
}

TEST_F(ConnectionWatchTest, AWatchIsOfOneVm) {
  Stream other = Connect(a_, b_);
  Request request;
  request.set_vm("vms/c");
  Watch watch(daemon_.connections(), request);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::SYNCED);
  other.Close();
  AwaitState("vms/a", v1::Connection::CLOSED);
  Connect(c_, a_);
  ASSERT_TRUE(watch.Read());
  EXPECT_TRUE(IsCall("vms/c", "vms/a")(watch.last())) << watch.last().ShortDebugString();
}

TEST_F(ConnectionWatchTest, AWatchIsOfSomeStates) {
  Stream call = Connect(a_, b_);
  Request established;
  established.add_states(v1::Connection::ESTABLISHED);
  Request closed;
  closed.add_states(v1::Connection::CLOSED);
  Watch watch(daemon_.connections(), established);
  Watch ends(daemon_.connections(), closed);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::ADDED);
  ASSERT_TRUE(watch.Await(Change::SYNCED));
  ASSERT_TRUE(ends.Read());
  EXPECT_EQ(ends.last().type(), Change::SYNCED);

  CallNobody(c_);
  call.ShutdownSend();
  AwaitState("vms/a", v1::Connection::HALF_CLOSED);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::DELETED) << "it left the states that are watched";
  EXPECT_EQ(watch.connection().state(), v1::Connection::HALF_CLOSED);
  ASSERT_TRUE(ends.Read());
  EXPECT_EQ(ends.last().type(), Change::DELETED);
  EXPECT_EQ(ends.connection().initiator().vm(), "vms/c");
  call.Close();
  AwaitState("vms/a", v1::Connection::CLOSED);
  ASSERT_TRUE(ends.Read());
  EXPECT_EQ(ends.connection().initiator().vm(), "vms/a");
}

TEST_F(ConnectionWatchTest, AWatchGoesOnWhereTheLastOneEnded) {
  Request request;
  {
    Watch watch(daemon_.connections());
    ASSERT_TRUE(watch.Await(Change::SYNCED));
    request.set_resource_version(watch.last().resource_version());
  }
  CallNobody(a_);
  Watch watch(daemon_.connections(), request);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::DELETED);
  EXPECT_EQ(watch.connection().initiator().vm(), "vms/a");
  CallNobody(b_);
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::DELETED) << "no SYNCED: " << watch.last().ShortDebugString();
  EXPECT_EQ(watch.connection().initiator().vm(), "vms/b");
}

TEST_F(ConnectionWatchTest, AWatchThatMakesNoSenseSaysWhy) {
  Request request;
  request.set_resource_version("deadbeef.5");
  grpc::Status status = Watch(daemon_.connections(), request).End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(status), "RESOURCE_VERSION_EXPIRED");
  request.set_resource_version("garbage");
  status = Watch(daemon_.connections(), request).End();
  EXPECT_EQ(BadFields(status).field_violations(0).field(), "resource_version");
  request.Clear();
  request.mutable_bookmark_interval()->set_seconds(100'000);
  EXPECT_EQ(BadFields(Watch(daemon_.connections(), request).End()).field_violations(0).field(), "bookmark_interval");

  request.Clear();
  request.set_vm("c");
  request.add_states(static_cast<v1::Connection::State>(77));
  status = Watch(daemon_.connections(), request).End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::vector<std::string> fields;
  const google::rpc::BadRequest bad = BadFields(status);
  for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
  EXPECT_THAT(fields, ::testing::UnorderedElementsAre("vm", "states[0]"));
}

TEST_F(ConnectionWatchTest, AQuietWatchGetsBookmarks) {
  Request request;
  request.mutable_bookmark_interval()->set_seconds(1);
  Watch watch(daemon_.connections(), request);
  ASSERT_TRUE(watch.Await(Change::SYNCED));
  const std::string version = watch.last().resource_version();
  ASSERT_TRUE(watch.Read());
  EXPECT_EQ(watch.last().type(), Change::BOOKMARK);
  EXPECT_EQ(watch.last().resource_version(), version);
  EXPECT_EQ(daemon_.Info().counts().watches(), 1u);
}

TEST_F(ConnectionWatchTest, MoreThanACallerMayHaveAreRefused) {
  std::vector<std::unique_ptr<Watch>> watches;
  for (size_t i = 0; i < kMaxRareStreamsPerCaller; ++i) {
    watches.push_back(std::make_unique<Watch>(daemon_.connections()));
    ASSERT_TRUE(watches.back()->Await(Change::SYNCED));
  }
  const grpc::Status refused = Watch(daemon_.connections()).End();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(refused), "QUOTA_EXCEEDED");
}

TEST_F(ConnectionWatchTest, AStopEndsAWatch) {
  Watch watch(daemon_.connections());
  ASSERT_TRUE(watch.Await(Change::SYNCED));
  daemon_.Stop();
  EXPECT_EQ(Reason(watch.End()), "SHUTTING_DOWN");
}

}  // namespace
}  // namespace kinsock
