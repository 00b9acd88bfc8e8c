// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

Caller User(uid_t uid) { return {.role = Role::kViewer, .uid = uid}; }

TEST(WatchQuotaTest, EachCallerHasSoManyAtATime) {
  WatchQuota quota(2);
  absl::StatusOr<WatchQuota::Ticket> first = quota.Enter(User(1)), second = quota.Enter(User(1));
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status refused = quota.Enter(User(1)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has 2 watches open"));
  EXPECT_TRUE(quota.Enter(User(2)).ok()) << "another has his own";

  // A ticket that moves is still one.
  const WatchQuota::Ticket moved = *std::move(first);
  EXPECT_FALSE(quota.Enter(User(1)).ok());
  second = WatchQuota::Ticket();
  EXPECT_TRUE(quota.Enter(User(1)).ok()) << "one is over";
}

TEST(WatchQuotaTest, ACertificateIsACallerOfItsOwn) {
  WatchQuota quota(1);
  const Caller a{.transport = Caller::Transport::kTls, .role = Role::kViewer, .san = "a"};
  const Caller b{.transport = Caller::Transport::kTls, .role = Role::kViewer, .san = "b"};
  const absl::StatusOr<WatchQuota::Ticket> of_a = quota.Enter(a);
  EXPECT_FALSE(quota.Enter(a).ok());
  EXPECT_TRUE(quota.Enter(b).ok());
}

}  // namespace
}  // namespace kinsock
