// SPDX-License-Identifier: Apache-2.0
#include "server/manager/request_gate.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/status/error.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

class RequestGateTest : public ::testing::Test {
 protected:
  // A caller that notes its answer: "ok", "null", or a reason.
  RequestGate::Done Caller() {
    return [this](const absl::StatusOr<VmSnapshotPtr>& result) {
      answers_.push_back(!result.ok() ? ErrorReason(result.status()) : *result == nullptr ? "null" : "ok");
    };
  }
  static VmSnapshotPtr Result() {
    auto vm = std::make_shared<VmSnapshot>();
    vm->definition = std::make_shared<VmDefinition>();
    return vm;
  }

  testing::SimulatedClock clock_;
  RequestTable table_{clock_};
  RequestGate gate_{table_};
  std::vector<std::string> answers_;
};

TEST_F(RequestGateTest, WithoutAnIdEverythingGoesThrough) {
  EXPECT_TRUE(gate_.Enter("", 1, Caller()));
  EXPECT_TRUE(gate_.Enter("", 1, Caller()));
}

TEST_F(RequestGateTest, ARepetitionWaitsForTheAnswerOfTheFirst) {
  RequestGate::Done first = gate_.Enter("r", 1, Caller());
  ASSERT_TRUE(first);
  EXPECT_FALSE(gate_.Enter("r", 1, Caller()));
  EXPECT_TRUE(answers_.empty());
  first(Result());
  EXPECT_EQ(answers_, (std::vector<std::string>{"ok", "ok"}));
  EXPECT_FALSE(gate_.Enter("r", 1, Caller()));
  EXPECT_EQ(answers_.size(), 3u);
}

TEST_F(RequestGateTest, AnotherRequestIsRefusedAlsoWhileTheFirstIsUnderWay) {
  RequestGate::Done first = gate_.Enter("r", 1, Caller());
  EXPECT_FALSE(gate_.Enter("r", 2, Caller()));
  EXPECT_EQ(answers_, std::vector<std::string>{"REQUEST_ID_REUSED"});
  first(Result());
}

TEST_F(RequestGateTest, AFailedRequestMayBeTriedAgain) {
  RequestGate::Done first = gate_.Enter("r", 1, Caller());
  EXPECT_FALSE(gate_.Enter("r", 1, Caller()));
  first(Error(absl::StatusCode::kNotFound, "VM_NOT_FOUND", "there is none"));
  EXPECT_EQ(answers_, (std::vector<std::string>{"VM_NOT_FOUND", "VM_NOT_FOUND"}));
  RequestGate::Done again = gate_.Enter("r", 1, Caller());
  ASSERT_TRUE(again);
  again(VmSnapshotPtr());
  EXPECT_EQ(answers_.back(), "null");
}

}  // namespace
}  // namespace kinsock
