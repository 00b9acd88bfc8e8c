// SPDX-License-Identifier: Apache-2.0
#include "server/store/state_peek.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/sqlite.h"
#include "tests/server/store/state_fixture.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class StatePeekTest : public testing::StateFixture {
 protected:
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(directory())) names.insert(file.path().filename());
    return names;
  }
};

TEST_F(StatePeekTest, WhereThereIsNoneNoneIsMade) {
  const absl::StatusOr<SavedState> state = PeekState(directory());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->vms, SizeIs(0));
  EXPECT_NE(access(directory().c_str(), F_OK), 0);
}

TEST_F(StatePeekTest, OneAtRestIsReadAndNothingAppearsBesideIt) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit(Making(Vm("a", 3))).ok());
  store_.reset();
  const std::string before = Contents(path());
  const std::set<std::string> files = Files();
  const absl::StatusOr<SavedState> state = PeekState(directory());
  ASSERT_TRUE(state.ok()) << state.status();
  ASSERT_THAT(state->vms, SizeIs(1));
  EXPECT_EQ(state->vms[0].cid, 3u);
  EXPECT_EQ(Contents(path()), before);
  EXPECT_EQ(Files(), files);
}

TEST_F(StatePeekTest, OneThatADaemonHasIsReadAndStaysItsOwn) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Commit(Making(Vm("a", 3))).ok());
  absl::StatusOr<SavedState> state = PeekState(directory());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->vms, SizeIs(1));
  EXPECT_TRUE(Commit(Making(Vm("b", 4))).ok());
  state = PeekState(directory());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->vms, SizeIs(2));
  EXPECT_THAT(Saved(), SizeIs(2));
}

TEST_F(StatePeekTest, OneThatCannotBeUnderstoodIsNamed) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  const std::string good = Contents(path());
  {
    absl::StatusOr<Sqlite> db = Sqlite::Open(path(), Sqlite::Mode::kReadWrite);
    ASSERT_TRUE(db.ok()) << db.status();
    ASSERT_TRUE(db->Execute("PRAGMA user_version=999").ok());
  }
  absl::StatusOr<SavedState> state = PeekState(directory());
  ASSERT_FALSE(state.ok());
  EXPECT_THAT(std::string(state.status().message()), HasSubstr(path()));
  EXPECT_THAT(std::string(state.status().message()), HasSubstr("another release"));

  Overwrite(path(), "no database");
  state = PeekState(directory());
  ASSERT_FALSE(state.ok());
  EXPECT_THAT(std::string(state.status().message()), HasSubstr(path()));

  Overwrite(path(), good);
  EXPECT_TRUE(PeekState(directory()).ok());
}

}  // namespace
}  // namespace kinsock
