// SPDX-License-Identifier: Apache-2.0
//
// Ten ways in which one end does not reach another, each found out with nothing but what the daemon says.
#include "cli/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

using ::testing::HasSubstr;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    facts_.source = Vm("web", 1024);
    facts_.target = Vm("db", 1025);
    facts_.port = 5432;
    facts_.policy.emplace();
    facts_.policy->set_allowed(true);
    facts_.policy->set_network("networks/default");
    facts_.policy->set_default_policy(v1::Network::SHARED_GROUP);
  }

  static v1::Vm Vm(const std::string& name, uint32_t cid) {
    v1::Vm vm;
    vm.set_name("vms/" + name);
    vm.mutable_spec()->set_network("networks/default");
    vm.mutable_status()->set_state(v1::VmStatus::ACTIVE);
    vm.mutable_status()->set_cid(cid);
    return vm;
  }
  void Attempt(v1::Connection::CloseReason reason, uint64_t bytes = 0) {
    v1::Connection attempt;
    attempt.set_name("connections/x-1");
    attempt.set_state(v1::Connection::CLOSED);
    attempt.set_close_reason(reason);
    attempt.mutable_to_target()->set_bytes(bytes);
    facts_.attempts.push_back(std::move(attempt));
  }
  void ToTheHost(ExplainFacts::HostListener listener) {
    facts_.target.reset();
    facts_.source->mutable_status()->set_uds_path("/run/web.uds");
    facts_.host_path = "/run/web.uds_5432";
    facts_.host_listener = listener;
  }
  void Finds(const std::string& cause, const std::string& next, ExitCode code) {
    const Explanation found = Explain(facts_);
    EXPECT_THAT(found.cause, HasSubstr(cause));
    EXPECT_THAT(found.next, HasSubstr(next));
    EXPECT_EQ(found.code, code);
    EXPECT_EQ(found.steps.back().text, found.cause) << "nothing is said of what lies behind the cause";
  }

  ExplainFacts facts_;
};

TEST_F(ExplainTest, AVmWithoutItsVmm) {
  facts_.target->mutable_status()->set_state(v1::VmStatus::LISTENING);
  Finds("db: no VMM is connected to its device", "kinsockctl vmm-args db", kExitConflict);
}

TEST_F(ExplainTest, AGuestWithoutTheDriver) {
  facts_.source->mutable_status()->set_state(v1::VmStatus::CONNECTED);
  Finds("web: its VMM is there, but the guest's vsock driver is not", "vm wait web --for=ACTIVE", kExitConflict);
}

TEST_F(ExplainTest, AVmThatIsDrained) {
  facts_.target->mutable_status()->set_state(v1::VmStatus::DRAINED);
  Finds("db: it is drained", "kinsockctl vm resume db", kExitConflict);
}

TEST_F(ExplainTest, TwoNetworks) {
  facts_.target->mutable_spec()->set_network("networks/lab");
  facts_.policy.reset();
  Finds("nobody in networks/default has an address in networks/lab", "vm create db --net default", kExitConflict);
}

TEST_F(ExplainTest, NoGroupInCommon) {
  facts_.source->mutable_spec()->add_groups("a");
  facts_.policy->set_allowed(false);
  Finds("denied by the default of networks/default, SHARED_GROUP: web is in a, db in default",
        "kinsockctl vm set web --groups a+default", kExitDenied);
}

TEST_F(ExplainTest, APolicy) {
  facts_.policy->set_allowed(false);
  facts_.policy->set_policy("networks/default/policies/closed");
  Finds("denied by networks/default/policies/closed", "kinsockctl policy list --net default", kExitDenied);
}

TEST_F(ExplainTest, NobodyListensInTheGuest) {
  Attempt(v1::Connection::GUEST_RST);
  Finds("the last attempt was refused: the guest said no", "ss --vsock -ln, in db: it has to show port 5432",
        kExitConflict);
}

TEST_F(ExplainTest, NobodyListensOnTheHost) {
  ToTheHost(ExplainFacts::HostListener::kNone);
  Finds("/run/web.uds_5432 is not there", "kinsockctl listen web 5432", kExitConflict);
  ToTheHost(ExplainFacts::HostListener::kDead);
  Finds("/run/web.uds_5432 is there, but nobody listens on it", "kinsockctl listen web 5432", kExitConflict);
}

TEST_F(ExplainTest, AForwardStandsForTheListener) {
  ToTheHost(ExplainFacts::HostListener::kNone);
  facts_.source->mutable_status()->clear_uds_path();
  facts_.forward.emplace();
  facts_.forward->set_name("forwards/log");
  facts_.forward->set_direction(v1::Forward::FROM_GUEST);
  facts_.forward->set_target("tcp:127.0.0.1:514");
  EXPECT_THAT(ExplanationText(Explain(facts_)), HasSubstr("[+] forwards/log takes it to tcp:127.0.0.1:514\n"));
  Attempt(v1::Connection::NO_LISTENER);
  Finds("no program of the host listened on tcp:127.0.0.1:514", "ss -xltn", kExitConflict);
  facts_.forward->mutable_status()->set_error("the address is in use");
  Finds("forwards/log is not served: the address is in use", "kinsockctl forward get log", kExitConflict);
}

TEST_F(ExplainTest, AVmWithoutASideToTheHost) {
  facts_.source.reset();
  Finds("db has no socket for host programs", "--uds-path", kExitConflict);
}

TEST_F(ExplainTest, AQuotaIsUsedUp) {
  Attempt(v1::Connection::QUOTA);
  Finds("the last attempt failed: a quota is used up", "kinsockctl stats db", kExitError);
}

TEST_F(ExplainTest, AGuestThatCallsItself) {
  facts_.target = facts_.source;
  Finds("talks to itself", "modprobe vsock_loopback, in web", kExitConflict);
}

// Nothing came: what is wrong is in the guest, where the daemon does not see.
TEST_F(ExplainTest, AGuestThatSendsItElsewhere) {
  const Explanation found = Explain(facts_);
  EXPECT_EQ(found.cause, "");
  EXPECT_EQ(found.code, kExitOk);
  EXPECT_THAT(found.steps.back().text, HasSubstr("VMADDR_FLAG_TO_HOST"));
  EXPECT_THAT(found.next, HasSubstr("socat - VSOCK-CONNECT:1025:5432, in web"));
  EXPECT_THAT(ExplanationText(found), HasSubstr("[+] allowed by the default of networks/default, SHARED_GROUP\n"));
}

TEST_F(ExplainTest, ANewerConnectionCounts) {
  Attempt(v1::Connection::GUEST_RST);
  Attempt(v1::Connection::FINISHED, 100);
  EXPECT_EQ(Explain(facts_).cause, "");
  facts_.attempts.back().set_state(v1::Connection::ESTABLISHED);
  EXPECT_EQ(Explain(facts_).steps.back().text, "connected: connections/x-1");
}

TEST_F(ExplainTest, ALimitThatIsMetIsSaidAndDoesNotHideWhatFollows) {
  v1::Condition& limited = *facts_.target->mutable_status()->add_conditions();
  limited.set_type("QuotaLimited");
  limited.set_status(v1::Condition::TRUE);
  limited.set_message("quota.bytes_to_guest has held something back");
  Attempt(v1::Connection::CONNECT_TIMEOUT);
  const Explanation found = Explain(facts_);
  EXPECT_THAT(ExplanationText(found), HasSubstr("[?] db meets a limit: quota.bytes_to_guest"));
  EXPECT_EQ(found.code, kExitDeadline);
}

}  // namespace
}  // namespace kinsock
