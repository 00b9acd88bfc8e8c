// SPDX-License-Identifier: Apache-2.0
#include "router/group_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kinsock {
namespace {

using ::testing::ElementsAre;

TEST(GroupSetTest, NamesAreSortedAndUnique) {
  EXPECT_THAT(GroupSet({"web", "db", "web"}).names(), ElementsAre("db", "web"));
}

TEST(GroupSetTest, OneSharedGroupIsEnough) {
  EXPECT_TRUE(GroupSet({"a", "m", "z"}).SharesOneWith(GroupSet({"b", "m"})));
  EXPECT_TRUE(GroupSet({"z"}).SharesOneWith(GroupSet({"a", "b", "z"})));
}

TEST(GroupSetTest, NoSharedGroupIsNot) {
  EXPECT_FALSE(GroupSet({"a", "c"}).SharesOneWith(GroupSet({"b", "d"})));
  EXPECT_FALSE(GroupSet({"ab"}).SharesOneWith(GroupSet({"a", "b"})));
}

TEST(GroupSetTest, NobodyReachesAVmWithoutGroups) {
  EXPECT_FALSE(GroupSet().SharesOneWith(GroupSet({"a"})));
  EXPECT_FALSE(GroupSet().SharesOneWith(GroupSet()));
}

}  // namespace
}  // namespace kinsock
