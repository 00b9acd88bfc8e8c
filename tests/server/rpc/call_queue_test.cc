// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/call_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Caller Viewer(uid_t uid) { return {.role = Role::kViewer, .uid = uid}; }
Caller Operator(uid_t uid) { return {.role = Role::kOperator, .uid = uid}; }

class CallQueueTest : public ::testing::Test {
 protected:
  // Writes down when it has its turn.
  class Named final : public CallQueue::Call {
   public:
    Named(std::vector<std::string>& ran, std::string name) : ran_(ran), name_(std::move(name)) {}

   private:
    void Run() override { ran_.push_back(name_); }
    std::vector<std::string>& ran_;
    const std::string name_;
  };

  void Start(CallQueue::Limits limits) { queue_ = std::make_unique<CallQueue>(limits); }

  // A call that has entered, or was refused.
  CallQueue::Call& Enter(const Caller& caller, const std::string& name, size_t request_bytes = 0,
                         const std::string& peer = "fd:1") {
    calls_.push_back(std::make_unique<Named>(ran_, name));
    status_ = queue_->Enter(main_, caller, peer, request_bytes, *calls_.back());
    return *calls_.back();
  }

  std::vector<std::string> RunUntilIdle() {
    while (main_.RunOnce()) {
    }
    return std::exchange(ran_, {});
  }

  EventLoop main_;
  std::unique_ptr<CallQueue> queue_ = std::make_unique<CallQueue>();
  std::vector<std::unique_ptr<Named>> calls_;
  std::vector<std::string> ran_;
  absl::Status status_;
};

TEST_F(CallQueueTest, CallersTakeTurnsAndEachKeepsHisOrder) {
  for (int i = 1; i <= 4; ++i) Enter(Viewer(7), absl::StrCat("many", i));
  for (int i = 1; i <= 2; ++i) Enter(Operator(8), absl::StrCat("few", i));
  EXPECT_THAT(RunUntilIdle(), ElementsAre("many1", "few1", "many2", "few2", "many3", "many4"));
}

TEST_F(CallQueueTest, ManyConnectionsAreNoWayToHaveMoreTurns) {
  for (const char* peer : {"fd:1", "fd:2", "fd:3"}) {
    for (int i = 1; i <= 2; ++i) Enter(Viewer(7), absl::StrCat(peer, "/", i), 0, peer);
  }
  for (int i = 1; i <= 3; ++i) Enter(Viewer(8), absl::StrCat("other", i), 0, "fd:9");
  EXPECT_THAT(RunUntilIdle(),
              ElementsAre("fd:1/1", "other1", "fd:2/1", "other2", "fd:3/1", "other3", "fd:1/2", "fd:2/2", "fd:3/2"));
}

TEST_F(CallQueueTest, MainLooksAtAllElseBetweenTwoCalls) {
  for (int i = 0; i < 3; ++i) Enter(Viewer(7), absl::StrCat(i));
  main_.RunOnce();
  EXPECT_THAT(std::exchange(ran_, {}), ElementsAre("0"));
  bool timer = false;
  main_.RunAfter(std::chrono::seconds(0), [&] { timer = ran_.size() == 1; });
  main_.RunOnce();
  EXPECT_TRUE(timer);
}

TEST_F(CallQueueTest, ALineStandsStillWhileItsCallerHasManyOpen) {
  Start({.open_of_viewer = 2});
  CallQueue::Call& first = Enter(Viewer(7), "first");
  Enter(Viewer(7), "second");
  Enter(Viewer(7), "third");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("first", "second"));
  EXPECT_EQ(queue_->stats().waiting, 1u);
  EXPECT_EQ(queue_->stats().open, 2u);
  Enter(Viewer(8), "of another");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("of another"));

  queue_->Answered(first, 100);
  EXPECT_THAT(RunUntilIdle(), IsEmpty()) << "its client has not read the answer";
  queue_->Leave(first);
  EXPECT_THAT(RunUntilIdle(), ElementsAre("third"));
}

TEST_F(CallQueueTest, AnOperatorHasMoreOpen) {
  Start({.open_of_viewer = 1, .open_of_operator = 3});
  for (int i = 0; i < 4; ++i) Enter(Operator(7), absl::StrCat(i));
  EXPECT_THAT(RunUntilIdle(), ElementsAre("0", "1", "2"));
}

TEST_F(CallQueueTest, ALineStandsStillWhileItsCallerReadsNothing) {
  Start({.unread_bytes = 1000});
  CallQueue::Call& small = Enter(Viewer(7), "small");
  CallQueue::Call& large = Enter(Viewer(7), "large");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("small", "large"));
  queue_->Answered(small, 400);
  queue_->Answered(large, 600);
  EXPECT_EQ(queue_->stats().unread_bytes, 1000u);
  Enter(Viewer(7), "next");
  EXPECT_THAT(RunUntilIdle(), IsEmpty());
  queue_->Leave(small);
  EXPECT_THAT(RunUntilIdle(), ElementsAre("next"));
  EXPECT_EQ(queue_->stats().unread_bytes, 600u);
}

TEST_F(CallQueueTest, AConnectionThatStandsStillLeavesSomethingToTheOthersOfItsCaller) {
  Start({.open_of_viewer = 2, .per_caller = 2});
  for (int i = 0; i < 3; ++i) Enter(Viewer(7), absl::StrCat("stalled", i), 0, "fd:1");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("stalled0", "stalled1"));
  Enter(Viewer(7), "of another program", 0, "fd:2");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("of another program"));
  Enter(Viewer(7), "of a third", 0, "fd:3");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("of a third"));
  Enter(Viewer(7), "of a fourth", 0, "fd:4");
  EXPECT_THAT(RunUntilIdle(), IsEmpty()) << "twice as much as one connection is what he may have";
}

TEST_F(CallQueueTest, WhereAllHaveManyEachHasOne) {
  Start({.all_open = 2, .all_waiting = 2});
  Enter(Viewer(7), "a1");
  Enter(Viewer(7), "a2");
  Enter(Viewer(8), "b1");
  EXPECT_TRUE(status_.ok()) << "he has none waiting";
  Enter(Viewer(8), "b2");
  EXPECT_FALSE(status_.ok());
  EXPECT_THAT(RunUntilIdle(), ElementsAre("a1", "b1"));
  Enter(Viewer(9), "c1");
  Enter(Viewer(9), "c2");
  EXPECT_THAT(RunUntilIdle(), ElementsAre("c1")) << "more than two are open, but of him none was";
}

TEST_F(CallQueueTest, TooManyThatWaitAreRefused) {
  Start({.open_of_viewer = 1, .waiting = 2});
  for (int i = 0; i < 2; ++i) Enter(Viewer(7), "in");
  ASSERT_TRUE(status_.ok());
  Enter(Viewer(7), "out");
  EXPECT_EQ(status_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status_), "QUOTA_EXCEEDED");
  EXPECT_THAT(std::string(status_.message()), HasSubstr("2 calls of this connection wait"));
  EXPECT_TRUE(status_.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
  EXPECT_EQ(queue_->stats().refused, 1u);
  Enter(Viewer(8), "in");
  EXPECT_TRUE(status_.ok()) << "another has his own line";
}

TEST_F(CallQueueTest, TooManyBytesOfRequestsAreRefused) {
  Start({.request_bytes = 1000, .all_request_bytes = 4800});
  Enter(Viewer(7), "alone", 4000);
  EXPECT_TRUE(status_.ok()) << "whatever its size, it is the only one";
  Enter(Viewer(7), "one more", 1);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("requests of 4000 bytes of this connection"));
  Enter(Viewer(8), "of another", 700);
  EXPECT_TRUE(status_.ok());
  Enter(Viewer(8), "his second", 200);
  EXPECT_THAT(std::string(status_.message()), HasSubstr("requests of 4700 bytes of all callers"));
  // They are held until the call is over, not until main has got to it.
  EXPECT_EQ(queue_->stats().request_bytes, 4700u);
  RunUntilIdle();
  EXPECT_EQ(queue_->stats().request_bytes, 4700u);
  EXPECT_EQ(queue_->stats().refused, 2u);
  Enter(Viewer(7), "still one more", 1);
  EXPECT_FALSE(status_.ok());
}

TEST_F(CallQueueTest, WhoHasGoneAwayNeverHasHisTurn) {
  Enter(Viewer(7), "stays");
  CallQueue::Call& gone = Enter(Viewer(7), "gone", 100);
  EXPECT_TRUE(queue_->Withdraw(gone));
  EXPECT_FALSE(queue_->Withdraw(gone));
  queue_->Leave(gone);
  CallQueue::Call& alone = Enter(Viewer(8), "alone, and gone");
  EXPECT_TRUE(queue_->Withdraw(alone));
  EXPECT_THAT(RunUntilIdle(), ElementsAre("stays"));
  EXPECT_EQ(queue_->stats().waiting, 0u);
  EXPECT_EQ(queue_->stats().open, 1u);
}

TEST_F(CallQueueTest, WhoIsOpenCannotWithdraw) {
  CallQueue::Call& call = Enter(Viewer(7), "call");
  RunUntilIdle();
  EXPECT_FALSE(queue_->Withdraw(call));
  queue_->Leave(call);
  EXPECT_EQ(queue_->stats().open, 0u);
}

}  // namespace
}  // namespace kinsock
