// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

Caller User(uid_t uid) { return {.role = Role::kViewer, .uid = uid}; }

absl::StatusOr<WatchQuota::Ticket> Enter(WatchQuota& quota, const Caller& caller) {
  return quota.Enter(caller, "VmService.WatchVms", 100);
}

TEST(WatchQuotaTest, EachCallerHasSoManyAtATime) {
  WatchQuota quota(2);
  absl::StatusOr<WatchQuota::Ticket> first = Enter(quota, User(1)), second = Enter(quota, User(1));
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status refused = Enter(quota, User(1)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has 2 watches open"));
  EXPECT_TRUE(Enter(quota, User(2)).ok()) << "another has his own";

  // A ticket that moves is still one.
  const WatchQuota::Ticket moved = *std::move(first);
  EXPECT_FALSE(Enter(quota, User(1)).ok());
  second = WatchQuota::Ticket();
  EXPECT_TRUE(Enter(quota, User(1)).ok()) << "one is over";
}

TEST(WatchQuotaTest, ACertificateIsACallerOfItsOwn) {
  WatchQuota quota(1);
  const Caller a{.transport = Caller::Transport::kTls, .role = Role::kViewer, .san = "a"};
  const Caller b{.transport = Caller::Transport::kTls, .role = Role::kViewer, .san = "b"};
  const absl::StatusOr<WatchQuota::Ticket> of_a = Enter(quota, a);
  EXPECT_FALSE(Enter(quota, a).ok());
  EXPECT_TRUE(Enter(quota, b).ok());
}

TEST(WatchQuotaTest, OfWhatTheDaemonHasFewACallerHasAShare) {
  WatchQuota quota(4);
  const auto enter = [&](uid_t uid) { return quota.Enter(User(uid), "ConnectionService.StreamStats", 1); };
  absl::StatusOr<WatchQuota::Ticket> rare = enter(1);
  ASSERT_TRUE(rare.ok());
  const absl::Status refused = enter(1).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has 1 streams of ConnectionService.StreamStats open"));
  EXPECT_TRUE(enter(2).ok()) << "another has his own";

  // It is one of all that he may have, and others of those are no less.
  std::vector<WatchQuota::Ticket> watches;
  for (absl::StatusOr<WatchQuota::Ticket> more = Enter(quota, User(1)); more.ok(); more = Enter(quota, User(1))) {
    watches.push_back(*std::move(more));
  }
  EXPECT_EQ(watches.size(), 3u);
  rare = WatchQuota::Ticket();
  EXPECT_TRUE(enter(1).ok());
  EXPECT_TRUE(Enter(quota, User(1)).ok());
}

}  // namespace
}  // namespace kinsock
