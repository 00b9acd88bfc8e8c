// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CLI_EXPLAIN_FIXTURE_H_
#define KINSOCK_TESTS_CLI_EXPLAIN_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/call/exit_code.h"
#include "cli/explain/explain.h"

namespace kinsock::testing {

using Step = ctl::Explanation::Step;

// web, a guest, calls port 5432 of db, another one, and nothing is in the way; a test puts something there.
class ExplainTest : public ::testing::Test {
 protected:
  static constexpr int64_t kNow = 1'000'000;

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
    EXPECT_THAT(found.cause(), ::testing::HasSubstr(cause));
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
    EXPECT_THAT(found.steps().rbegin()->text(), ::testing::HasSubstr(text));
    EXPECT_EQ(Next(found), next);
  }

  ExplainFacts facts_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CLI_EXPLAIN_FIXTURE_H_
