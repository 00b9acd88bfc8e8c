// SPDX-License-Identifier: Apache-2.0
#include "server/manager/event_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Type = VmEvent::Type;

class EventHubTest : public ::testing::Test {
 protected:
  explicit EventHubTest(EventHub::Limits limits = {}) : hub_("e", limits) {}

  // Something happens to the VM called `uid`.
  void Happens(Type type, const std::string& uid) {
    auto definition = std::make_shared<VmDefinition>();
    definition->id = uid;
    definition->uid = uid;
    auto vm = std::make_shared<VmSnapshot>();
    vm->definition = std::move(definition);
    vm->version = hub_.next_version();
    hub_.Publish({type, std::move(vm)});
  }

  std::unique_ptr<EventHub::Subscription> Follow(uint64_t after) {
    auto subscription = hub_.Subscribe(after, [this] { ++calls_; });
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    return *std::move(subscription);
  }

  // "+a" ADDED, "~a" MODIFIED, "-a" DELETED.
  static std::vector<std::string> Told(EventHub::Subscription& reader, size_t max = 1000) {
    const absl::StatusOr<std::vector<VmEvent>> events = reader.Take(max);
    if (!events.ok()) return {ErrorReason(events.status())};
    std::vector<std::string> told;
    for (const VmEvent& event : *events) {
      const char* sign = event.type == Type::kAdded ? "+" : event.type == Type::kModified ? "~" : "-";
      told.push_back(absl::StrCat(sign, event.vm->definition->uid));
    }
    return told;
  }

  EventHub hub_;
  int calls_ = 0;
};

TEST_F(EventHubTest, AReaderSeesWhatHappensAfterItCame) {
  Happens(Type::kAdded, "a");
  auto reader = Follow(hub_.head());
  EXPECT_THAT(Told(*reader), IsEmpty());
  Happens(Type::kAdded, "b");
  Happens(Type::kModified, "a");
  EXPECT_EQ(calls_, 1) << "called once, until it has looked";
  EXPECT_THAT(Told(*reader), ElementsAre("+b", "~a"));
  EXPECT_EQ(reader->cursor(), hub_.head());
}

TEST_F(EventHubTest, AReaderThatResumesMissesNothing) {
  Happens(Type::kAdded, "a");
  const uint64_t seen = hub_.head();
  Happens(Type::kModified, "a");
  Happens(Type::kAdded, "b");
  Happens(Type::kDeleted, "a");
  auto reader = Follow(seen);
  EXPECT_THAT(Told(*reader), ElementsAre("+b", "-a"));
}

TEST_F(EventHubTest, ASlowReaderSeesOnlyTheNewestStateOfEachVm) {
  Happens(Type::kAdded, "a");
  auto reader = Follow(hub_.head());
  for (int i = 0; i < 100; ++i) Happens(Type::kModified, "a");
  Happens(Type::kAdded, "b");
  EXPECT_THAT(Told(*reader), ElementsAre("~a", "+b"));
}

TEST_F(EventHubTest, ANewVmIsAddedHoweverLateTheReaderLooks) {
  auto reader = Follow(0);
  Happens(Type::kAdded, "a");
  Happens(Type::kAdded, "b");
  Happens(Type::kModified, "a");
  EXPECT_THAT(Told(*reader), ElementsAre("+b", "+a")) << "a was never told of before";
  Happens(Type::kModified, "a");
  EXPECT_THAT(Told(*reader), ElementsAre("~a"));
}

TEST_F(EventHubTest, WhatCameAndWentUnseenIsNotMentioned) {
  auto reader = Follow(0);
  Happens(Type::kAdded, "a");
  Happens(Type::kDeleted, "a");
  Happens(Type::kAdded, "b");
  EXPECT_THAT(Told(*reader), ElementsAre("+b"));
}

TEST_F(EventHubTest, AVmThatWasReadIsNotAddedAgainOnResume) {
  Happens(Type::kAdded, "a");
  Happens(Type::kAdded, "b");
  const uint64_t listed = hub_.head();
  Happens(Type::kModified, "a");
  auto reader = Follow(listed);
  EXPECT_THAT(Told(*reader), ElementsAre("~a"));
}

TEST_F(EventHubTest, EventsAreTakenInBatches) {
  auto reader = Follow(0);
  for (const char* uid : {"a", "b", "c"}) Happens(Type::kAdded, uid);
  EXPECT_THAT(Told(*reader, 2), ElementsAre("+a", "+b"));
  EXPECT_THAT(Told(*reader, 2), ElementsAre("+c"));
  EXPECT_THAT(Told(*reader, 2), IsEmpty());
}

TEST_F(EventHubTest, AVersionOfTheFutureIsRefused) {
  Happens(Type::kAdded, "a");
  const absl::Status refused = hub_.Subscribe(2, [] {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(refused), "FIELD_INVALID");
}

TEST_F(EventHubTest, ClosingEndsReadersAndRefusesNewOnes) {
  auto reader = Follow(0);
  EXPECT_THAT(Told(*reader), IsEmpty());
  hub_.Close(Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN", "bye"));
  EXPECT_EQ(calls_, 1);
  EXPECT_THAT(Told(*reader), ElementsAre("SHUTTING_DOWN"));
  EXPECT_EQ(ErrorReason(hub_.Subscribe(0, [] {}).status()), "SHUTTING_DOWN");
}

class SmallEventHubTest : public EventHubTest {
 protected:
  static EventHub::Limits Small() {
    EventHub::Limits limits;
    limits.ring_events = 10;
    limits.ring_bytes = 1000;
    limits.max_lag = 4;
    limits.max_subscribers = 2;
    return limits;
  }
  SmallEventHubTest() : EventHubTest(Small()) {}
};

TEST_F(SmallEventHubTest, AReaderThatFallsTooFarBehindIsLetGo) {
  auto reader = Follow(0);
  for (const char* uid : {"a", "b", "c", "d"}) Happens(Type::kAdded, uid);
  EXPECT_TRUE(reader->status().ok());
  Happens(Type::kAdded, "e");
  EXPECT_EQ(calls_, 1) << "it is told at once, though it never looked";
  EXPECT_THAT(Told(*reader), ElementsAre("WATCH_LAGGED"));
  EXPECT_EQ(reader->status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(SmallEventHubTest, OneBusyVmNeverMakesAReaderLag) {
  Happens(Type::kAdded, "a");
  auto reader = Follow(hub_.head());
  for (int i = 0; i < 8; ++i) Happens(Type::kModified, "a");
  EXPECT_THAT(Told(*reader), ElementsAre("~a"));
}

TEST_F(SmallEventHubTest, WhatHappenedBeforeItCameIsNoLag) {
  for (const char* uid : {"a", "b", "c", "d", "e", "f", "g"}) Happens(Type::kAdded, uid);
  auto reader = Follow(0);
  Happens(Type::kAdded, "h");
  EXPECT_THAT(Told(*reader), ElementsAre("+a", "+b", "+c", "+d", "+e", "+f", "+g", "+h"));
}

TEST_F(SmallEventHubTest, AReaderThatTheRingHasPassedIsLetGo) {
  Happens(Type::kAdded, "a");
  auto reader = Follow(hub_.head());
  for (int i = 0; i < 12; ++i) Happens(Type::kModified, "a");
  EXPECT_THAT(Told(*reader), ElementsAre("WATCH_LAGGED"));
  EXPECT_EQ(hub_.lagged(), 1u) << "once";
}

TEST_F(SmallEventHubTest, AVersionThatIsForgottenIsRefusedWithTheOldest) {
  for (int i = 0; i < 15; ++i) Happens(Type::kAdded, absl::StrCat("vm", i));
  EXPECT_EQ(hub_.oldest(), 5u);
  const absl::Status refused = hub_.Subscribe(4, [] {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ErrorReason(refused), "RESOURCE_VERSION_EXPIRED");
  EXPECT_TRUE(hub_.Subscribe(5, [] {}).ok());
}

TEST_F(SmallEventHubTest, DeletedVmsTakeABoundedAmountOfMemory) {
  for (int i = 0; i < 5; ++i) {
    const std::string uid = std::string(200, static_cast<char>('a' + i));
    Happens(Type::kAdded, uid);
    Happens(Type::kDeleted, uid);
  }
  EXPECT_GT(hub_.oldest(), 0u) << "ten events fit, their bytes do not";
}

TEST_F(SmallEventHubTest, ThereIsAnEndToReaders) {
  auto first = Follow(0);
  auto second = Follow(0);
  EXPECT_EQ(ErrorReason(hub_.Subscribe(0, [] {}).status()), "QUOTA_EXCEEDED");
  first = nullptr;
  EXPECT_TRUE(hub_.Subscribe(0, [] {}).ok());
}

}  // namespace
}  // namespace kinsock
