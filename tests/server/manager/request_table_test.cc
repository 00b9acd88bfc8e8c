// SPDX-License-Identifier: Apache-2.0
#include "server/manager/request_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

VmSnapshotPtr Result(const std::string& id, size_t annotation_bytes = 0) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = id;
  definition->annotations["note"] = std::string(annotation_bytes, 'x');
  auto vm = std::make_shared<VmSnapshot>();
  vm->definition = std::move(definition);
  return vm;
}

class RequestTableTest : public ::testing::Test {
 protected:
  testing::SimulatedClock clock_;
  RequestTable table_{clock_};
};

TEST_F(RequestTableTest, ARepetitionGetsTheFirstResult) {
  const VmSnapshotPtr result = Result("a");
  EXPECT_EQ(*table_.Find("r", 1), nullptr);
  table_.Remember("r", 1, result);
  EXPECT_EQ(*table_.Find("r", 1), result);
}

TEST_F(RequestTableTest, AnotherRequestUnderTheSameIdIsRefused) {
  table_.Remember("r", 1, Result("a"));
  const absl::Status refused = table_.Find("r", 2).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(refused), "REQUEST_ID_REUSED");
}

TEST_F(RequestTableTest, ForgetsAfterADay) {
  table_.Remember("r", 1, Result("a"));
  clock_.Advance(RequestTable::kKeep - std::chrono::seconds(1));
  EXPECT_NE(*table_.Find("r", 1), nullptr);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(*table_.Find("r", 1), nullptr);
}

TEST_F(RequestTableTest, ForgetsTheOldestOfTooMany) {
  for (size_t i = 0; i <= RequestTable::kMaxEntries; ++i) table_.Remember(absl::StrCat(i), 1, Result("a"));
  EXPECT_EQ(*table_.Find("0", 1), nullptr);
  EXPECT_NE(*table_.Find("1", 1), nullptr);
}

TEST_F(RequestTableTest, ForgetsTheOldestOfTooLarge) {
  const size_t half = RequestTable::kMaxBytes / 2;
  table_.Remember("first", 1, Result("a", half));
  table_.Remember("second", 1, Result("b", half));
  EXPECT_EQ(*table_.Find("first", 1), nullptr);
  EXPECT_NE(*table_.Find("second", 1), nullptr);
}

}  // namespace
}  // namespace kinsock
