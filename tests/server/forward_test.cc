// SPDX-License-Identifier: Apache-2.0
//
// Forwards, as clients of the API make them and programs on both sides use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/manager/forward_manager.h"
#include "tests/server/forward_client.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using testing::ForwardClient;
using ::testing::HasSubstr;
using testing::HybridClient;
using ::testing::IsEmpty;
using testing::Reason;

class ForwardApiTest : public testing::VmFixture {
 protected:
  ForwardApiTest() { EXPECT_TRUE(daemon_.Create("web", 42).ok()); }

  std::string Path(const std::string& name) { return daemon_ / name; }
  std::string Address(const std::string& name) { return "unix:" + Path(name); }

  // A program of the host connects there.
  std::unique_ptr<HybridClient> Connect(const std::string& name) {
    return std::make_unique<HybridClient>(stage_, Path(name));
  }
  std::unique_ptr<HybridClient> Accept(const UniqueFd& listener) {
    UniqueFd accepted;
    EXPECT_TRUE(stage_.RunUntil([&] {
      accepted = UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return accepted.valid();
    }));
    return std::make_unique<HybridClient>(stage_, std::move(accepted));
  }

  ForwardClient forwards_{daemon_.forwards()};
};

TEST_F(ForwardApiTest, AProgramOfTheHostReachesAPortOfTheGuest) {
  PowerOn("web", a_);
  v1::Forward made;
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh")), &made).ok());
  EXPECT_EQ(made.name(), "forwards/ssh");
  EXPECT_EQ(made.vm(), "vms/web");
  EXPECT_EQ(made.listen(), Address("ssh"));
  EXPECT_FALSE(made.uid().empty() || made.etag().empty());
  EXPECT_EQ(made.generation(), 1);

  a_.Listen(22);
  const auto program = Connect("ssh");
  testing::Stream shell = a_.Accept(22);
  program->Send("who are you?");
  ASSERT_TRUE(stage_.RunUntil([&] { return shell.Received() == "who are you?"; }));
  shell.Send("a guest");
  ASSERT_TRUE(stage_.RunUntil([&] { return program->Received() == "a guest"; }));
  const v1::Forward::Status status = forwards_.StatusOf("ssh");
  EXPECT_EQ(status.connects(), 1u);
  EXPECT_EQ(status.open(), 1u);
  EXPECT_EQ(status.bytes_to_guest(), 12u);
  EXPECT_EQ(status.bytes_to_host(), 7u);
  EXPECT_EQ(status.error(), "");
}

TEST_F(ForwardApiTest, AGuestReachesAProgramOfTheHost) {
  PowerOn("web", a_);
  const UniqueFd listener = testing::ListenAt(Path("syslog"));
  ASSERT_TRUE(forwards_.Create(ForwardClient::FromGuest("log", "web", 514, Address("syslog"))).ok());
  testing::Stream call = a_.Connect(2, 514);
  const auto program = Accept(listener);
  call.Send("a line");
  EXPECT_TRUE(stage_.RunUntil([&] { return program->Received() == "a line"; }));
}

TEST_F(ForwardApiTest, WhoIsRefusedIsCountedWithTheReason) {
  PowerOn("web", a_);
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  const auto program = Connect("ssh");  // nobody listens in the guest
  ASSERT_TRUE(stage_.RunUntil([&] { return program->at_eof() || program->broken(); }));
  ASSERT_TRUE(stage_.RunUntil([&] { return forwards_.StatusOf("ssh").refused() == 1; }));
  const v1::Forward::Status status = forwards_.StatusOf("ssh");
  EXPECT_EQ(status.last_refusal(), v1::Connection::GUEST_RST);
  EXPECT_TRUE(status.has_last_refusal_time());
  EXPECT_EQ(status.open(), 0u);
}

TEST_F(ForwardApiTest, AChangeHoldsForTheNextConnection) {
  PowerOn("web", a_);
  const UniqueFd first = testing::ListenAt(Path("first"));
  const UniqueFd second = testing::ListenAt(Path("second"));
  v1::Forward made;
  ASSERT_TRUE(forwards_.Create(ForwardClient::FromGuest("log", "web", 514, Address("first")), &made).ok());
  testing::Stream old = a_.Connect(2, 514);
  const auto old_program = Accept(first);

  v1::UpdateForwardRequest update;
  update.mutable_forward()->set_name("forwards/log");
  update.mutable_forward()->set_target(Address("second"));
  update.mutable_update_mask()->add_paths("target");
  update.set_etag(made.etag());
  v1::Forward changed;
  ASSERT_TRUE(forwards_.Update(update, &changed).ok());
  EXPECT_EQ(changed.generation(), 2);
  EXPECT_NE(changed.etag(), made.etag());
  EXPECT_EQ(changed.target(), Address("second"));
  EXPECT_EQ(Reason(forwards_.Update(update)), "ETAG_MISMATCH");

  a_.Connect(2, 514);
  Accept(second);
  old.Send("still here");
  EXPECT_TRUE(stage_.RunUntil([&] { return old_program->Received() == "still here"; }));
  // The same once more is no change.
  update.clear_etag();
  ASSERT_TRUE(forwards_.Update(update, &changed).ok());
  EXPECT_EQ(changed.generation(), 2);
}

TEST_F(ForwardApiTest, WhatStaysAsItWasMadeIsNamed) {
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  v1::UpdateForwardRequest update;
  update.mutable_forward()->set_name("forwards/ssh");
  update.mutable_forward()->set_guest_port(23);
  update.mutable_forward()->set_vm("vms/other");
  update.mutable_forward()->set_listen(Address("elsewhere"));
  EXPECT_THAT(Fields(forwards_.Update(update)), ElementsAre("forward.vm", "forward.listen"));
  update.mutable_forward()->set_vm("vms/web");
  update.mutable_forward()->clear_listen();
  v1::Forward changed;
  ASSERT_TRUE(forwards_.Update(update, &changed).ok());
  EXPECT_EQ(changed.guest_port(), 23u);
  EXPECT_EQ(changed.listen(), Address("ssh"));
}

TEST_F(ForwardApiTest, ADeletedForwardListensNoMoreAndItsConnectionsStay) {
  PowerOn("web", a_);
  a_.Listen(22);
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  const auto program = Connect("ssh");
  testing::Stream shell = a_.Accept(22);
  v1::DeleteForwardRequest remove;
  remove.set_name("forwards/ssh");
  remove.set_uid("another");
  EXPECT_EQ(Reason(forwards_.Delete(remove)), "UID_MISMATCH");
  remove.clear_uid();
  v1::Forward last;
  ASSERT_TRUE(forwards_.Delete(remove, &last).ok());
  EXPECT_EQ(last.status().connects(), 1u);
  EXPECT_FALSE(testing::TryConnect(testing::NewUnixSocket(), Path("ssh")));
  EXPECT_EQ(Reason(forwards_.Get("ssh")), "FORWARD_NOT_FOUND");
  EXPECT_EQ(Reason(forwards_.Delete(remove)), "FORWARD_NOT_FOUND");
  remove.set_allow_missing(true);
  EXPECT_TRUE(forwards_.Delete(remove).ok());
  program->Send("still here");
  EXPECT_TRUE(stage_.RunUntil([&] { return shell.Received() == "still here"; }));
  // Its place is free.
  EXPECT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
}

TEST_F(ForwardApiTest, ItsConnectionsCanBeResetWithIt) {
  PowerOn("web", a_);
  a_.Listen(22);
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  const auto program = Connect("ssh");
  testing::Stream shell = a_.Accept(22);
  v1::DeleteForwardRequest remove;
  remove.set_name("forwards/ssh");
  remove.set_reset_connections(true);
  ASSERT_TRUE(forwards_.Delete(remove).ok());
  EXPECT_TRUE(stage_.RunUntil([&] { return shell.was_reset() && (program->at_eof() || program->broken()); }));
}

TEST_F(ForwardApiTest, AForwardGoesWithItsVm) {
  ASSERT_TRUE(daemon_.Create("db", 43).ok());
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  ASSERT_TRUE(forwards_.Create(ForwardClient::FromGuest("log", "web", 514, Address("syslog"))).ok());
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("sql", "db", 5432, Address("sql"))).ok());
  ASSERT_TRUE(daemon_.Delete("web").ok());
  EXPECT_THAT(forwards_.List(), ElementsAre("forwards/sql"));
  EXPECT_FALSE(testing::TryConnect(testing::NewUnixSocket(), Path("ssh")));
  // What it had is free.
  EXPECT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "db", 22, Address("ssh"))).ok());
  EXPECT_TRUE(forwards_.Create(ForwardClient::ToGuest("log", "db", 514, Address("syslog"))).ok());
}

TEST_F(ForwardApiTest, ListsTellOfOneVmOrOfAllInPages) {
  ASSERT_TRUE(daemon_.Create("db", 43).ok());
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest(id, id[0] == 'b' ? "db" : "web", 22, Address(id))).ok());
  }
  EXPECT_THAT(forwards_.List(), ElementsAre("forwards/a", "forwards/b", "forwards/c"));
  EXPECT_THAT(forwards_.List("", 1), ElementsAre("forwards/a", "forwards/b", "forwards/c"));
  EXPECT_THAT(forwards_.List("vms/web", 1), ElementsAre("forwards/a", "forwards/c"));
  EXPECT_THAT(forwards_.List("vms/nobody"), IsEmpty());
}

TEST_F(ForwardApiTest, ARepetitionMakesNothingAgain) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"));
  request.set_request_id("once");
  v1::Forward first, again;
  ASSERT_TRUE(forwards_.Create(request, &first).ok());
  ASSERT_TRUE(forwards_.Create(request, &again).ok());
  EXPECT_EQ(again.uid(), first.uid());
  request.set_forward_id("other");
  EXPECT_EQ(Reason(forwards_.Create(request)), "REQUEST_ID_REUSED");
  request.clear_request_id();
  request.set_forward_id("ssh");
  EXPECT_EQ(Reason(forwards_.Create(request)), "FORWARD_EXISTS");
}

TEST_F(ForwardApiTest, WhatIsOnlyValidatedIsNotMade) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"));
  request.set_validate_only(true);
  v1::Forward would_be;
  ASSERT_TRUE(forwards_.Create(request, &would_be).ok());
  EXPECT_EQ(would_be.uid(), "");
  EXPECT_THAT(forwards_.List(), IsEmpty());
  EXPECT_FALSE(testing::TryConnect(testing::NewUnixSocket(), Path("ssh")));
}

TEST_F(ForwardApiTest, AllThatIsWrongIsSaidAtOnce) {
  v1::CreateForwardRequest request = ForwardClient::ToGuest("SSH", "web", 0, "tcp:192.0.2.1:22");
  request.mutable_forward()->set_vm("web");
  request.mutable_forward()->set_target(Address("x"));
  request.mutable_forward()->mutable_socket_access()->set_mode(01777);
  const grpc::Status refused = forwards_.Create(request);
  EXPECT_EQ(Reason(refused), "FIELD_INVALID");
  EXPECT_THAT(Fields(refused), ElementsAre("forward_id", "forward.vm", "forward.guest_port", "forward.target",
                                           "forward.listen", "forward.socket_access", "forward.socket_access.mode"));
  EXPECT_THAT(refused.error_message(), HasSubstr("is not on the loopback interface"));
}

TEST_F(ForwardApiTest, AVmThatIsNotThereHasNone) {
  EXPECT_EQ(Reason(forwards_.Create(ForwardClient::ToGuest("ssh", "nobody", 22, Address("ssh")))), "VM_NOT_FOUND");
  EXPECT_FALSE(testing::TryConnect(testing::NewUnixSocket(), Path("ssh")));
}

TEST_F(ForwardApiTest, APortThatAGuestCallsLeadsToOnePlace) {
  ASSERT_TRUE(daemon_.Create("db", 43).ok());
  ASSERT_TRUE(forwards_.Create(ForwardClient::FromGuest("log", "web", 514, Address("x"))).ok());
  EXPECT_EQ(Reason(forwards_.Create(ForwardClient::FromGuest("log2", "web", 514, Address("y")))), "GUEST_PORT_BUSY");
  EXPECT_TRUE(forwards_.Create(ForwardClient::FromGuest("log3", "db", 514, Address("x"))).ok());
  EXPECT_TRUE(forwards_.Create(ForwardClient::FromGuest("log4", "web", 515, Address("x"))).ok());
  v1::UpdateForwardRequest update;
  update.mutable_forward()->set_name("forwards/log4");
  update.mutable_forward()->set_guest_port(514);
  update.mutable_update_mask()->add_paths("guest_port");
  EXPECT_EQ(Reason(forwards_.Update(update)), "GUEST_PORT_BUSY");
}

TEST_F(ForwardApiTest, AVmHasSoManyAndNotOneMore) {
  for (size_t i = 0; i < ForwardManager::kMaxForwardsPerVm; ++i) {
    const std::string id = absl::StrCat("f", i);
    ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest(id, "web", 22, Address(id))).ok());
  }
  const grpc::Status refused = forwards_.Create(ForwardClient::ToGuest("more", "web", 22, Address("more")));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(refused), "QUOTA_EXCEEDED");
  EXPECT_FALSE(testing::TryConnect(testing::NewUnixSocket(), Path("more")));
}

TEST_F(ForwardApiTest, EventsTellWhatBecameOfThem) {
  ASSERT_TRUE(forwards_.Create(ForwardClient::ToGuest("ssh", "web", 22, Address("ssh"))).ok());
  v1::UpdateForwardRequest update;
  update.mutable_forward()->set_name("forwards/ssh");
  update.mutable_forward()->set_guest_port(23);
  update.mutable_update_mask()->add_paths("guest_port");
  ASSERT_TRUE(forwards_.Update(update).ok());
  ASSERT_TRUE(forwards_.Delete("ssh").ok());
  grpc::ClientContext context;
  testing::SetDeadline(context);
  const auto stream = daemon_.admin().WatchEvents(&context, v1::WatchRequest());
  std::vector<std::string> lifecycle, audit;
  v1::Event event;
  while (stream->Read(&event) && event.type() != v1::Event::SYNCED) {
    if (event.object() != "forwards/ssh") continue;
    (event.type() == v1::Event::AUDIT ? audit : lifecycle).push_back(event.reason());
  }
  context.TryCancel();
  EXPECT_THAT(lifecycle, ElementsAre("FORWARD_CREATED", "FORWARD_UPDATED", "FORWARD_DELETED"));
  EXPECT_THAT(audit, ElementsAre("CHANGED", "CHANGED", "CHANGED"));
}

}  // namespace
}  // namespace kinsock
