// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/role_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

namespace kinsock {
namespace {

using ::testing::HasSubstr;

Role RoleOf(const RoleRules& rules, uid_t uid, gid_t gid = 50'000, std::vector<gid_t> groups = {}) {
  return rules.RoleOf({uid, gid, 1, std::move(groups)});
}

TEST(RoleRulesTest, WithoutRulesOnlyRootAndTheDaemonItselfMayAnything) {
  const RoleRules rules;
  EXPECT_EQ(RoleOf(rules, 0), Role::kAdmin);
  EXPECT_EQ(RoleOf(rules, geteuid()), Role::kAdmin);
  EXPECT_EQ(RoleOf(rules, 50'001, getegid()), Role::kNone);
  EXPECT_FALSE(rules.concern_other_users());
}

TEST(RoleRulesTest, TheHighestRoleCounts) {
  RoleRules rules;
  EXPECT_EQ(rules.Add("viewer=user:50001"), "");
  EXPECT_EQ(rules.Add("operator=group:50100"), "");
  EXPECT_EQ(rules.Add("admin", "group:50200"), "");
  EXPECT_TRUE(rules.concern_other_users());
  EXPECT_EQ(RoleOf(rules, 50'001), Role::kViewer);
  EXPECT_EQ(RoleOf(rules, 50'001, 50'100), Role::kOperator);
  EXPECT_EQ(RoleOf(rules, 50'002, 50'100), Role::kOperator);
  EXPECT_EQ(RoleOf(rules, 50'002, 50'000, {1, 50'200, 50'100}), Role::kAdmin);
  EXPECT_EQ(RoleOf(rules, 50'002), Role::kNone);
  EXPECT_EQ(RoleOf(rules, 50'100), Role::kNone) << "the number of a group is not that of a user";
}

TEST(RoleRulesTest, ALaterRuleDoesNotTakeAway) {
  RoleRules rules;
  EXPECT_EQ(rules.Add("admin=user:50001"), "");
  EXPECT_EQ(rules.Add("viewer=user:50001"), "");
  EXPECT_EQ(RoleOf(rules, 50'001), Role::kAdmin);
}

TEST(RoleRulesTest, NamesAreLookedUp) {
  RoleRules rules;
  EXPECT_EQ(rules.Add("viewer=user:daemon"), "");
  EXPECT_EQ(rules.Add("operator=group:daemon"), "");
  EXPECT_EQ(RoleOf(rules, 1), Role::kViewer);
  EXPECT_EQ(RoleOf(rules, 50'001, 1), Role::kOperator);
}

TEST(RoleRulesTest, NamesInCertificatesCountToTheLetter) {
  RoleRules rules;
  EXPECT_EQ(rules.Add("viewer=san:spiffe://fleet/a:b=c"), "");
  EXPECT_EQ(rules.Add("admin=san:boss.example"), "");
  using Known = std::pair<Role, std::string>;
  EXPECT_EQ(rules.RoleOf(std::vector<std::string>{"spiffe://fleet/a:b=c"}),
            Known(Role::kViewer, "spiffe://fleet/a:b=c"));
  EXPECT_EQ(rules.RoleOf({"spiffe://fleet/a:b=c", "x", "boss.example"}), Known(Role::kAdmin, "boss.example"));
  EXPECT_EQ(rules.RoleOf({"x.boss.example", "boss.example.", "*.example"}), Known(Role::kNone, "x.boss.example"));
  EXPECT_EQ(rules.RoleOf(std::vector<std::string>()), Known(Role::kNone, ""));
  EXPECT_FALSE(rules.concern_other_users()) << "the files of UNIX sockets are not opened for them";
}

TEST(RoleRulesTest, SaysWhatIsWrongWithARule) {
  RoleRules rules;
  EXPECT_THAT(rules.Add(""), HasSubstr("write ROLE=user:NAME, ROLE=group:NAME or ROLE=san:NAME"));
  EXPECT_THAT(rules.Add("admin"), HasSubstr("gives nobody a role"));
  EXPECT_THAT(rules.Add("admin="), HasSubstr("gives nobody a role"));
  EXPECT_THAT(rules.Add("boss=user:0"), HasSubstr("\"boss\" is no role; there are viewer, operator and admin"));
  EXPECT_THAT(rules.Add("none=user:0"), HasSubstr("is no role"));
  EXPECT_THAT(rules.Add("admin=alice"), HasSubstr("\"alice\" names nobody; write user:NAME, group:NAME or san:NAME"));
  EXPECT_THAT(rules.Add("admin=user:"), HasSubstr("names nobody"));
  EXPECT_THAT(rules.Add("admin=user:no-such-user-here"), HasSubstr("is no user of this machine"));
  EXPECT_THAT(rules.Add("admin=group:no-such-group-here"), HasSubstr("is no group of this machine"));
  EXPECT_THAT(rules.Add("admin=user:4294967295"), HasSubstr("is no user of this machine")) << "that is nobody's number";
  EXPECT_FALSE(rules.concern_other_users());
}

}  // namespace
}  // namespace kinsock
