// SPDX-License-Identifier: Apache-2.0
//
// Ways in which one end does not reach another, each found out with nothing but what the daemon and the machine say.
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
using ::testing::Not;
using testing::Step;

TEST_F(ExplainTest, ANameThatIsMistyped) {
  Miss("bd");
  facts_.target.similar = "db";
  Finds("VM_NOT_FOUND", "there is no VM bd; did you mean db?", {"kinsockctl explain web db:5432"}, kExitNotFound);
  facts_.target.similar = "";
  Finds("VM_NOT_FOUND", "there is no VM bd", {"kinsockctl vm list"}, kExitNotFound);
}

TEST_F(ExplainTest, ASourceThatIsMistyped) {
  facts_.source = {};
  facts_.source.said = "wbe";
  facts_.source.similar = "web";
  Finds("VM_NOT_FOUND", "there is no VM wbe; did you mean web?", {"kinsockctl explain web db:5432"}, kExitNotFound);
}

TEST_F(ExplainTest, AVmThatWasDeleted) {
  Miss("db");
  Lease(v1::CidLease::QUARANTINED, "vms/db");
  Finds("VM_DELETED",
        "there is no VM db any more: it was deleted, and its CID 1025 of networks/default rests until "
        "1970-01-12T13:46:40Z",
        {"kinsockctl vm create db --cid 1025"}, kExitNotFound);
}

TEST_F(ExplainTest, ACidThatNobodyHas) {
  Miss("1025");
  Finds("CID_NOT_FOUND", "nobody in networks/default has CID 1025", {"kinsockctl vm list"}, kExitNotFound);
  Lease(v1::CidLease::QUARANTINED, "vms/db");
  Finds("CID_QUARANTINED",
        "nobody in networks/default has CID 1025 now: db had it and was deleted; it rests until 1970-01-12T13:46:40Z",
        {"kinsockctl vm create db --cid 1025"}, kExitNotFound);
  facts_.target.moved = Vm("db", 4711);
  Finds("CID_MOVED", "has CID 1025 now: db had it, and was given 4711", {"kinsockctl explain web db:5432"},
        kExitNotFound);
}

TEST_F(ExplainTest, ACidThatIsReserved) {
  Miss("1025");
  Lease(v1::CidLease::RESERVED, "the new database");
  Finds("CID_RESERVED", "has CID 1025 yet: it is reserved for 'the new database'", {"kinsockctl cid list"},
        kExitNotFound);
  Lease(v1::CidLease::RESERVED, "vms/db").set_network("networks/lab");
  Finds("CID_RESERVED", "it is reserved for db", {"kinsockctl vm create db --cid 1025 --net lab"}, kExitNotFound);
}

TEST_F(ExplainTest, ACidOfAnotherNetwork) {
  Miss("1025");
  facts_.target.other_network = Vm("db", 1025);
  facts_.target.other_network->mutable_spec()->set_network("networks/lab");
  Finds("OTHER_NETWORK", "db in networks/lab has, which cannot be addressed from there",
        {"kinsockctl explain web db:5432"}, kExitConflict);
}

TEST_F(ExplainTest, AGuestThatCallsItself) {
  facts_.target.vm = facts_.source.vm;
  Finds("LOOPBACK", "talks to itself", {"web$ modprobe vsock_loopback"}, kExitConflict);
  Miss("1");
  Finds("LOOPBACK", "CID 1 is whoever calls it", {"web$ modprobe vsock_loopback"}, kExitConflict);
}

TEST_F(ExplainTest, TwoNetworks) {
  db().mutable_spec()->set_network("networks/lab");
  db().mutable_spec()->mutable_uds()->set_path("/run/db.uds");
  facts_.policy.reset();
  Finds("OTHER_NETWORK", "nobody in networks/default has an address in networks/lab",
        {"kinsockctl vm delete db", "kinsockctl vm create db --net default --uds-path /run/db.uds"}, kExitConflict);
}

TEST_F(ExplainTest, AVmWithoutItsVmm) {
  db().mutable_status()->set_state(v1::VmStatus::LISTENING);
  Finds("NO_VMM", "db: no VMM is connected to its device", {"kinsockctl vmm-args db"}, kExitConflict);
  Hold(db(), "Degraded", "SessionFailed", "the last VMM was sent away (x)");
  Finds("NO_VMM", "db: no VMM is connected to its device; the last VMM was sent away (x)", {"kinsockctl vmm-args db"},
        kExitConflict);
}

// Else somebody boots two guests, only to learn that they may not talk.
TEST_F(ExplainTest, WhatIsSoHoweverTheGuestsAreComesFirst) {
  web().mutable_status()->set_state(v1::VmStatus::LISTENING);
  db().mutable_status()->set_state(v1::VmStatus::LISTENING);
  facts_.policy->set_allowed(false);
  facts_.policy->set_policy("networks/default/policies/closed");
  Finds("POLICY_DENIED", "denied by networks/default/policies/closed", {"kinsockctl policy get closed"}, kExitDenied);
  facts_.target = {};
  facts_.target.said = "host";
  facts_.target.host = true;
  EXPECT_EQ(Explain(facts_).reason(), "NO_HOST_SIDE");
  web().mutable_status()->set_uds_path("/run/web.uds");
  EXPECT_EQ(Explain(facts_).reason(), "POLICY_DENIED");
  facts_.policy->set_allowed(true);
  EXPECT_EQ(Explain(facts_).reason(), "NO_VMM");
}

TEST_F(ExplainTest, AGuestWithoutTheDriver) {
  web().mutable_status()->set_state(v1::VmStatus::CONNECTED);
  Finds("NO_DRIVER", "web: its VMM is there, but the guest's vsock driver is not",
        {"kinsockctl vm wait web --for=ACTIVE"}, kExitConflict);
}

TEST_F(ExplainTest, AVmThatIsDrained) {
  for (const auto state : {v1::VmStatus::DRAINING, v1::VmStatus::DRAINED}) {
    db().mutable_status()->set_state(state);
    Finds("DRAINED", "db: it is drained", {"kinsockctl vm resume db"}, kExitConflict);
  }
}

TEST_F(ExplainTest, AGuestThatGoesByItsFormerCid) {
  Hold(web(), "Degraded", "FormerCid", "the guest's driver goes by CID 9 still");
  Finds("FORMER_CID", "web: the guest's driver goes by CID 9 still",
        {"web$ rmmod vmw_vsock_virtio_transport && modprobe vmw_vsock_virtio_transport"}, kExitConflict);
}

TEST_F(ExplainTest, WhatIsWrongBesidesIsSaidAndDoesNotHideWhatFollows) {
  Hold(web(), "Degraded", "ControlFlood", "sends more that moves nothing than it may");
  Hold(db(), "GuestReady", "Waiting", "nobody accepts yet", v1::Condition::FALSE);
  const std::string text = ExplanationText(Explain(facts_));
  EXPECT_THAT(text, HasSubstr("[?] web: sends more that moves nothing than it may\n"));
  EXPECT_THAT(text, HasSubstr("[?] db is not ready: nobody accepts yet\n"));
  EXPECT_THAT(text, HasSubstr("[+] allowed by the default of networks/default, SHARED_GROUP\n"));
}

TEST_F(ExplainTest, NoGroupInCommon) {
  web().mutable_spec()->add_groups("a");
  facts_.policy->set_allowed(false);
  Finds("NO_SHARED_GROUP", "denied by the default of networks/default, SHARED_GROUP: web is in a, db in default",
        {"kinsockctl vm set web --groups a,default"}, kExitDenied);
}

TEST_F(ExplainTest, APolicyAndADefaultThatDeny) {
  facts_.policy->set_allowed(false);
  facts_.policy->set_policy("networks/default/policies/closed");
  Finds("POLICY_DENIED", "denied by networks/default/policies/closed", {"kinsockctl policy get closed"}, kExitDenied);
  facts_.policy->clear_policy();
  facts_.policy->set_network("networks/lab");
  facts_.policy->set_default_policy(v1::Network::DENY);
  Finds("POLICY_DENIED", "denied by the default of networks/lab, DENY",
        {"kinsockctl policy create web-to-db --net lab --allow --from web --to db --ports 5432"}, kExitDenied);
}

TEST_F(ExplainTest, NobodyListensInTheGuest) {
  Attempt(v1::Connection::GUEST_RST);
  Finds("GUEST_RST", "the last attempt, 5 s ago, failed: the guest said no", {"db$ ss --vsock -ln"}, kExitConflict);
}

TEST_F(ExplainTest, AQuotaThatIsUsedUpIsNamed) {
  Attempt(v1::Connection::QUOTA);
  Finds("QUOTA", "a quota is used up", {"kinsockctl stats db"}, kExitError);
  db().mutable_status()->mutable_stats()->mutable_to_guest()->set_limited_connections(1);
  Finds("QUOTA", "a quota is used up: quota.max_connections of db", {"kinsockctl net get networks/default -o yaml"},
        kExitError);
  db().mutable_spec()->mutable_quota()->set_max_connections(8);
  Finds("QUOTA", "a quota is used up: quota.max_connections of db, 8",
        {"kinsockctl vm set db --quota max_connections=16"}, kExitError);
}

TEST_F(ExplainTest, TheLimitThatWasMetLastIsTheOne) {
  Attempt(v1::Connection::QUOTA);
  web().mutable_status()->mutable_stats()->mutable_from_guest()->set_limited_connections(1);
  web().mutable_spec()->mutable_quota()->mutable_connects_per_second()->set_rate(3);
  Hold(web(), "QuotaLimited", "ConnectsPerSecond", "connects_per_second has held something back or refused it lately");
  Finds("QUOTA", "quota.connects_per_second of web, 3", {"kinsockctl vm set web --quota connects_per_second=6"},
        kExitError);
}

TEST_F(ExplainTest, ALimitThatIsMetIsSaidAndDoesNotHideWhatFollows) {
  Hold(db(), "QuotaLimited", "BytesToGuest", "bytes_to_guest has held something back");
  Attempt(v1::Connection::CONNECT_TIMEOUT);
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("[?] db meets a limit: bytes_to_guest"));
  Finds("CONNECT_TIMEOUT", "did not answer in 2 seconds", {"kinsockctl conn list --closed --vm db -o wide"},
        kExitDeadline);
}

// What refused it has been set right: its traces do not mislead.
TEST_F(ExplainTest, AnAttemptThatWouldGoOtherwiseNow) {
  for (const auto reason : {v1::Connection::POLICY_DENIED, v1::Connection::DRAIN, v1::Connection::PEER_GONE,
                            v1::Connection::TRANSPORT_RESET}) {
    Attempt(reason);
    FindsNothing(Step::UNKNOWN, "that is not so any more", {"web$ socat - VSOCK-CONNECT:1025:5432"});
  }
}

// Nothing came: what is wrong is in the guest, where the daemon does not see.
TEST_F(ExplainTest, AGuestThatSendsItElsewhere) {
  FindsNothing(Step::UNKNOWN, "VMADDR_FLAG_TO_HOST",
               {"web$ lsmod | grep vhost_vsock", "web$ socat - VSOCK-CONNECT:1025:5432"});
  // To the host nothing goes astray.
  ToTheHost(ExplainFacts::HostListener::kListening);
  EXPECT_THAT(ExplanationText(Explain(facts_)), Not(HasSubstr("VMADDR_FLAG_TO_HOST")));
}

TEST_F(ExplainTest, ANewerConnectionCounts) {
  Attempt(v1::Connection::GUEST_RST);
  Attempt(v1::Connection::FINISHED, 100);
  FindsNothing(Step::GOOD, "the last connection was made, and ended", {});
  facts_.attempts.back().set_state(v1::Connection::ESTABLISHED);
  FindsNothing(Step::GOOD, "connected: connections/x-1", {});
}

TEST_F(ExplainTest, TheTextSaysWhereToDoWhat) {
  Attempt(v1::Connection::GUEST_RST);
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("\n  try, in db: ss --vsock -ln\n"));
  FromTheHost(ExplainFacts::HostSocket::kOpen);
  facts_.attempts.clear();
  EXPECT_THAT(ExplanationText(Explain(facts_)),
              HasSubstr("nothing that the daemon knows stands in the way\n  try: kinsockctl connect db 5432\n"));
}

// A guest, or who reserved a CID, chose some of the words.
TEST_F(ExplainTest, ATerminalIsNotMadeToObey) {
  Miss("1025");
  Lease(v1::CidLease::RESERVED, "me\x1b[2J");
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("it is reserved for 'me\\x1b[2J'\n"));
  EXPECT_THAT(ExplanationText(Explain(facts_), true), HasSubstr("\x1b["));
}

}  // namespace
}  // namespace kinsock
