// SPDX-License-Identifier: Apache-2.0
//
// Ways in which one end does not reach another, each found out with nothing but what the daemon and the machine say.
#include "cli/explain/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/call/exit_code.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Step = ctl::Explanation::Step;

constexpr int64_t kNow = 1'000'000;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    facts_.source.said = "web";
    facts_.source.vm = Vm("web", 1024);
    facts_.target.said = "db";
    facts_.target.vm = Vm("db", 1025);
    facts_.port = 5432;
    facts_.policy.emplace();
    facts_.policy->set_allowed(true);
    facts_.policy->set_network("networks/default");
    facts_.policy->set_default_policy(v1::Network::SHARED_GROUP);
    facts_.now = kNow;
  }

  v1::Vm& web() { return *facts_.source.vm; }
  v1::Vm& db() { return *facts_.target.vm; }

  static v1::Vm Vm(const std::string& name, uint32_t cid) {
    v1::Vm vm;
    vm.set_name("vms/" + name);
    vm.mutable_spec()->set_network("networks/default");
    vm.mutable_status()->set_state(v1::VmStatus::ACTIVE);
    vm.mutable_status()->set_cid(cid);
    return vm;
  }
  static void Hold(v1::Vm& vm, const char* type, const char* reason, const char* message,
                   v1::Condition::Status status = v1::Condition::TRUE) {
    v1::Condition& condition = *vm.mutable_status()->add_conditions();
    condition.set_type(type);
    condition.set_status(status);
    condition.set_reason(reason);
    condition.set_message(message);
  }
  // It ended five seconds ago.
  v1::Connection& Attempt(v1::Connection::CloseReason reason, uint64_t bytes = 0, int64_t milliseconds = 1) {
    v1::Connection attempt;
    attempt.set_name("connections/x-1");
    attempt.set_state(v1::Connection::CLOSED);
    attempt.set_close_reason(reason);
    attempt.mutable_start_time()->set_seconds(kNow - 5);
    attempt.mutable_close_time()->set_seconds(kNow - 5 + milliseconds / 1000);
    attempt.mutable_close_time()->set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1'000'000));
    attempt.mutable_to_target()->set_bytes(bytes);
    facts_.attempts.push_back(attempt);
    return facts_.attempts.back();
  }
  void FromTheHost(ExplainFacts::HostSocket socket) {
    facts_.source = {};
    facts_.source.said = "host";
    facts_.source.host = true;
    db().mutable_status()->set_uds_path("/run/db.uds");
    facts_.host_socket = socket;
  }
  void ToTheHost(ExplainFacts::HostListener listener) {
    facts_.target = {};
    facts_.target.said = "host";
    facts_.target.host = true;
    web().mutable_status()->set_uds_path("/run/web.uds");
    facts_.host_path = "/run/web.uds_5432";
    facts_.host_listener = listener;
  }
  // That nobody has what was said.
  void Miss(const std::string& said) {
    facts_.target = {};
    facts_.target.said = said;
  }
  v1::CidLease& Lease(v1::CidLease::State state, const std::string& holder) {
    v1::CidLease lease;
    lease.set_network("networks/default");
    lease.set_cid(1025);
    lease.set_state(state);
    lease.set_holder(holder);
    lease.mutable_quarantine_until()->set_seconds(kNow);
    lease.mutable_quarantine_until()->set_nanos(5);
    facts_.target.lease = lease;
    return *facts_.target.lease;
  }

  // Each line, "db$ " before those for that guest.
  static std::vector<std::string> Next(const ctl::Explanation& found) {
    std::vector<std::string> lines;
    for (const ctl::Explanation::Command& next : found.next()) {
      lines.push_back(next.vm().empty() ? next.line() : next.vm().substr(4) + "$ " + next.line());
    }
    return lines;
  }
  // The last step is the cause: nothing is said of what lies behind.
  void Finds(const std::string& reason, const std::string& cause, const std::vector<std::string>& next, ExitCode code) {
    const ctl::Explanation found = Explain(facts_);
    EXPECT_EQ(found.reason(), reason);
    EXPECT_THAT(found.cause(), HasSubstr(cause));
    EXPECT_EQ(Next(found), next);
    EXPECT_EQ(found.exit_code(), code);
    EXPECT_EQ(found.steps().rbegin()->text(), found.cause());
    EXPECT_EQ(found.steps().rbegin()->verdict(), Step::BAD);
  }
  // Nothing that is known is in the way.
  void FindsNothing(Step::Verdict verdict, const std::string& text, const std::vector<std::string>& next) {
    const ctl::Explanation found = Explain(facts_);
    EXPECT_EQ(found.cause(), "");
    EXPECT_EQ(found.reason(), "");
    EXPECT_EQ(found.exit_code(), kExitOk);
    EXPECT_EQ(found.steps().rbegin()->verdict(), verdict);
    EXPECT_THAT(found.steps().rbegin()->text(), HasSubstr(text));
    EXPECT_EQ(Next(found), next);
  }

  ExplainFacts facts_;
};

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
  Finds("NO_HOST_SIDE", "db was made without a socket for host programs",
        {"kinsockctl forward create db-5432 db:5432 --listen unix:%t/kinsock/db-5432.sock"}, kExitConflict);
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

TEST_F(ExplainTest, NoProgramOfTheHostHasTried) {
  FromTheHost(ExplainFacts::HostSocket::kOpen);
  FindsNothing(Step::UNKNOWN, "no program of the host has tried", {"kinsockctl connect db 5432"});
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
