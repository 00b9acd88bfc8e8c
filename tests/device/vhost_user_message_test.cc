// SPDX-License-Identifier: Apache-2.0
#include "device/vhost_user_message.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kinsock {
namespace {

TEST(VhostUserMessageTest, RequestsOutsideTheTableAreUnknown) {
  for (const uint32_t request : {0u, 6u, 7u, 19u, 20u, 22u, 23u, 26u, 31u, 41u, 999u, 0xffff'ffffu}) {
    EXPECT_EQ(FindVhostUserRule(request), nullptr) << request;
  }
}

TEST(VhostUserMessageTest, EachRuleStandsForOneRequest) {
  std::set<std::string> names;
  for (uint32_t request = 0; request < 64; ++request) {
    const VhostUserMessageRule* rule = FindVhostUserRule(request);
    if (rule == nullptr) continue;
    EXPECT_EQ(static_cast<uint32_t>(rule->request), request);
    EXPECT_LE(rule->min_payload, rule->max_payload) << rule->name;
    EXPECT_LE(rule->min_fds, rule->max_fds) << rule->name;
    EXPECT_TRUE(names.insert(rule->name).second) << rule->name;
  }
  EXPECT_EQ(names.size(), 25u);
}

}  // namespace
}  // namespace kinsock
