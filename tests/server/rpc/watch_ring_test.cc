// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/watch_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ring = WatchRing<std::string>;

class WatchRingTest : public ::testing::Test {
 protected:
  std::unique_ptr<Ring::Subscription> Subscribe(uint64_t after) {
    auto subscription = ring_.Subscribe(after, [this] { ++calls_; });
    EXPECT_TRUE(subscription.ok());
    return subscription.ok() ? *std::move(subscription) : nullptr;
  }

  static std::vector<std::string> Texts(const std::vector<Ring::Numbered>& items) {
    std::vector<std::string> texts;
    for (const Ring::Numbered& item : items) texts.push_back(std::to_string(item.version) + item.item);
    return texts;
  }

  Ring ring_{"e", {.items = 6, .max_lag = 3, .max_subscribers = 2}};
  int calls_ = 0;
};

TEST_F(WatchRingTest, EveryoneSeesEverythingOnceAndInOrder) {
  ring_.Append("a");
  const auto early = Subscribe(0), late = Subscribe(1);
  EXPECT_THAT(Texts(early->Take(9)), ElementsAre("1a"));
  EXPECT_THAT(late->Take(9), IsEmpty());
  ring_.Append("b");
  EXPECT_EQ(calls_, 2) << "both had seen all";
  ring_.Append("c");
  EXPECT_EQ(calls_, 2) << "they know";
  EXPECT_THAT(Texts(early->Take(1)), ElementsAre("2b"));
  EXPECT_THAT(Texts(early->Take(9)), ElementsAre("3c"));
  EXPECT_THAT(Texts(late->Take(9, 2)), ElementsAre("2b")) << "not beyond what was asked for";
}

TEST_F(WatchRingTest, WhoDoesNotReadIsLetGoWhereHeCanGoOn) {
  const auto slow = Subscribe(0);
  for (const char* item : {"a", "b", "c"}) ring_.Append(item);
  EXPECT_TRUE(slow->status().ok());
  ring_.Append("d");
  EXPECT_EQ(ErrorReason(slow->status()), "WATCH_LAGGED");
  EXPECT_EQ(calls_, 1);
  ring_.Append("e");
  EXPECT_EQ(calls_, 1) << "it was told";
  EXPECT_EQ(ring_.lagged(), 1u);
  EXPECT_GE(slow->cursor(), ring_.oldest());
  EXPECT_THAT(Texts(Subscribe(slow->cursor())->Take(2)), ElementsAre("1a", "2b"));
}

TEST_F(WatchRingTest, HistoryThatWasAskedForIsNoLag) {
  for (const char* item : {"a", "b", "c", "d", "e"}) ring_.Append(item);
  const auto reader = Subscribe(0);
  ring_.Append("f");
  EXPECT_TRUE(reader->status().ok());
  EXPECT_THAT(Texts(reader->Take(9)), ElementsAre("1a", "2b", "3c", "4d", "5e", "6f"));
  const auto slow = Subscribe(0);
  ring_.Append("g");
  EXPECT_EQ(ErrorReason(slow->status()), "WATCH_LAGGED") << "what it wanted is forgotten";
}

TEST_F(WatchRingTest, HasRoomForSoManyAndEndsThemTogether) {
  const auto one = Subscribe(0), two = Subscribe(0);
  EXPECT_EQ(ErrorReason(ring_.Subscribe(0, [] {}).status()), "QUOTA_EXCEEDED");
  ring_.Close(absl::UnavailableError("over"));
  EXPECT_EQ(calls_, 2);
  EXPECT_TRUE(absl::IsUnavailable(one->status()));
  EXPECT_TRUE(absl::IsUnavailable(ring_.Subscribe(0, [] {}).status()));
}

}  // namespace
}  // namespace kinsock
