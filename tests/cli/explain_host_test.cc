// SPDX-License-Identifier: Apache-2.0
//
// The same when one end is a program of the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/call/exit_code.h"
#include "cli/explain/explain.h"
#include "tests/cli/explain_fixture.h"

namespace kinsock {
namespace {

using testing::ExplainTest;
using ::testing::HasSubstr;
using testing::Step;

TEST_F(ExplainTest, NobodyListensOnTheHost) {
  ToTheHost(ExplainFacts::HostListener::kNone);
  Finds("NO_LISTENER", "/run/web.uds_5432 is not there", {"kinsockctl listen web 5432"}, kExitConflict);
  ToTheHost(ExplainFacts::HostListener::kDead);
  Finds("NO_LISTENER", "/run/web.uds_5432 is there, but nobody listens on it", {"kinsockctl listen web 5432"},
        kExitConflict);
}

TEST_F(ExplainTest, AListenerThatDoesNotAccept) {
  ToTheHost(ExplainFacts::HostListener::kListening);
  Attempt(v1::Connection::NO_LISTENER, 0, 510);
  Finds("BACKLOG_FULL", "had as many callers waiting as its backlog takes", {"ss -xlp src /run/web.uds_5432"},
        kExitConflict);
}

TEST_F(ExplainTest, AListenerThatWasNotThereYet) {
  ToTheHost(ExplainFacts::HostListener::kListening);
  Attempt(v1::Connection::NO_LISTENER);
  FindsNothing(Step::UNKNOWN, "nobody listened then", {"ls -l /run/web.uds_5432", "web$ socat - VSOCK-CONNECT:2:5432"});
}

TEST_F(ExplainTest, TheDaemonItselfListensForReadiness) {
  ToTheHost(ExplainFacts::HostListener::kNone);
  web().mutable_spec()->mutable_readiness()->set_sd_notify_port(5432);
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("[+] the daemon itself listens there"));
}

TEST_F(ExplainTest, AForwardStandsForTheListener) {
  ToTheHost(ExplainFacts::HostListener::kNone);
  web().mutable_status()->clear_uds_path();
  facts_.forward.emplace();
  facts_.forward->set_name("forwards/log");
  facts_.forward->set_direction(v1::Forward::FROM_GUEST);
  facts_.forward->set_target("tcp:127.0.0.1:514");
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("[+] forwards/log takes it to tcp:127.0.0.1:514\n"));
  Attempt(v1::Connection::NO_LISTENER);
  Finds("NO_LISTENER", "no program of the host listened on tcp:127.0.0.1:514", {"ss -xltn"}, kExitConflict);
  facts_.forward->mutable_status()->set_error("the address is in use");
  Finds("FORWARD_NOT_SERVED", "forwards/log is not served: the address is in use", {"kinsockctl forward get log"},
        kExitConflict);
}

TEST_F(ExplainTest, AVmWithoutASideToTheHost) {
  FromTheHost(ExplainFacts::HostSocket::kNotAsked);
  db().mutable_status()->clear_uds_path();
  // Where the daemon makes its sockets, clients may have some made; not in the directory that goes with the VM.
  db().mutable_status()->set_vhost_user_socket("/run/kinsock/vms/db/vhost.sock");
  Finds("NO_HOST_SIDE", "db was made without a socket for host programs",
        {"kinsockctl forward create db-5432 db:5432 --listen unix:/run/kinsock/db-5432.sock"}, kExitConflict);
  db().mutable_status()->set_vhost_user_socket("/srv/vms/db.vhost");
  Finds("NO_HOST_SIDE", "db was made without a socket for host programs",
        {"kinsockctl forward create db-5432 db:5432 --listen unix:/srv/vms/db-5432.sock"}, kExitConflict);
  facts_.source = {};
  facts_.source.vm = Vm("web", 1024);
  ToTheHost(ExplainFacts::HostListener::kNotAsked);
  web().mutable_status()->clear_uds_path();
  web().mutable_status()->set_vhost_user_socket("/run/kinsock/vms/web/vhost.sock");
  Finds("NO_HOST_SIDE", "web was made without a socket for host programs",
        {"kinsockctl forward create web-5432 web:5432 --target unix:/run/kinsock/web-5432.sock"}, kExitConflict);
}

TEST_F(ExplainTest, AForwardIsCalledWhereItListens) {
  FromTheHost(ExplainFacts::HostSocket::kNotAsked);
  db().mutable_status()->clear_uds_path();  // kinsockctl connect would not get through
  facts_.forward.emplace();
  facts_.forward->set_name("forwards/db");
  facts_.forward->set_direction(v1::Forward::TO_GUEST);
  facts_.forward->set_listen("unix:/run/kinsock/a:b.sock");
  FindsNothing(Step::UNKNOWN, "no program of the host has tried", {"socat - 'UNIX-CONNECT:/run/kinsock/a\\:b.sock'"});
  facts_.forward->set_listen("tcp:127.0.0.1:80");
  FindsNothing(Step::UNKNOWN, "no program of the host has tried", {"socat - TCP:127.0.0.1:80"});
}

TEST_F(ExplainTest, TheHostsOwnAfVsockHasSomePortsOfAGuest) {
  FromTheHost(ExplainFacts::HostSocket::kNotAsked);
  db().mutable_status()->clear_uds_path();
  db().mutable_status()->set_vhost_user_socket("/run/kinsock/vms/db/vhost.sock");
  v1::VsockProxy& proxy = *db().mutable_spec()->mutable_vsock_proxy();
  proxy.set_forward_cid(1);
  const std::string forward = "kinsockctl forward create db-5432 db:5432 --listen unix:/run/kinsock/db-5432.sock";
  Finds("NO_HOST_SIDE", "db has the host's AF_VSOCK as its host side, where no port stands for its own", {forward},
        kExitConflict);
  proxy.add_listen_ports(9001);
  proxy.add_listen_ports(9002);
  Finds("NO_HOST_SIDE", "where of all ports 9001, 9002 stand for its own", {forward}, kExitConflict);
  proxy.add_listen_ports(5432);
  FindsNothing(Step::UNKNOWN, "no program of the host has tried", {"socat - VSOCK-CONNECT:1:5432"});
}

TEST_F(ExplainTest, NobodyListensOnTheHostsOwnAfVsock) {
  ToTheHost(ExplainFacts::HostListener::kNotAsked);
  web().mutable_status()->clear_uds_path();
  web().mutable_spec()->mutable_vsock_proxy()->set_forward_cid(1);
  Attempt(v1::Connection::NO_LISTENER);
  Finds("NO_LISTENER", "nobody listened on port 5432 of CID 1 of the host's AF_VSOCK", {"ss --vsock -ln"},
        kExitConflict);
}

TEST_F(ExplainTest, AListenerThatIsNotSeenFromHereIsNotSaidToBeNone) {
  ToTheHost(ExplainFacts::HostListener::kUnseen);
  EXPECT_THAT(ExplanationText(Explain(facts_)),
              HasSubstr("[?] a program has /run/web.uds_5432, but whether it listens cannot be told from here"));
  EXPECT_EQ(Explain(facts_).exit_code(), kExitOk);
}

TEST_F(ExplainTest, ASocketThatOneMayNotConnectTo) {
  FromTheHost(ExplainFacts::HostSocket::kForbidden);
  facts_.host_socket_owner = "kinsock:kvm, mode 0660";
  Finds("NO_PERMISSION", "you may not connect to /run/db.uds: it belongs to kinsock:kvm, mode 0660",
        {"sudo kinsockctl connect db 5432"}, kExitDenied);
}

TEST_F(ExplainTest, ASocketThatSomebodyHasRemoved) {
  FromTheHost(ExplainFacts::HostSocket::kGone);
  Finds("SOCKET_LOST", "/run/db.uds is not there",
        {"kinsockctl vm delete --force db", "kinsockctl vm create db --cid 1025 --uds-path /run/db.uds"},
        kExitConflict);
}

TEST_F(ExplainTest, NoProgramOfTheHostHasTried) {
  FromTheHost(ExplainFacts::HostSocket::kOpen);
  FindsNothing(Step::UNKNOWN, "no program of the host has tried", {"kinsockctl connect db 5432"});
}

}  // namespace
}  // namespace kinsock
