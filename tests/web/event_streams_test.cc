// SPDX-License-Identifier: Apache-2.0
#include "web/event_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/simulated_clock.h"
#include "web/event_feed.h"
#include "web/http_limits.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class EventStreamsTest : public ::testing::Test {
 protected:
  // So many more events, "event-N" with the version N.
  void Happen(size_t count) {
    std::vector<EventFeed::Numbered> events;
    for (size_t i = 0; i < count; ++i) {
      v1::Event event;
      event.set_id(absl::StrCat("e-", ++last_));
      event.set_type(v1::Event::LIFECYCLE);
      event.set_message(absl::StrCat("event-", last_, "."));
      events.push_back({last_, std::make_shared<const v1::Event>(std::move(event))});
    }
    streams_->Append(std::move(events));
  }

  std::unique_ptr<HttpStream> Open(HttpRequest request = {.parameters = {}, .last_event_id = "", .peer = "uid 0"}) {
    HttpReply reply = streams_->Open(request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return std::move(reply.stream);
  }
  static HttpRequest After(const std::string& version) {
    return {.parameters = {}, .last_event_id = version, .peer = "uid 0"};
  }

  // All that a stream has to say now.
  static std::string ReadAll(HttpStream& stream) {
    std::string all;
    for (std::optional<std::string> piece = stream.Next(); piece.has_value() && !piece->empty();
         piece = stream.Next()) {
      all += *piece;
    }
    return all;
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  std::unique_ptr<EventStreams> streams_ = std::make_unique<EventStreams>(loop_, "epoch");
  uint64_t last_ = 0;
};

TEST_F(EventStreamsTest, WhatIsRememberedComesFirstThenSyncedThenWhatHappens) {
  Happen(2);
  const std::unique_ptr<HttpStream> stream = Open();
  bool woken = false;
  stream->SetWake([&] { woken = true; });
  const std::string first = ReadAll(*stream);
  EXPECT_THAT(first, StartsWith("retry: "));
  EXPECT_THAT(first, HasSubstr("id: epoch.1\ndata: {\"id\":\"e-1\",\"resourceVersion\":\"epoch.1\""));
  EXPECT_THAT(first, HasSubstr("event-2."));
  EXPECT_THAT(first, HasSubstr("id: epoch.2\ndata: {\"resourceVersion\":\"epoch.2\",\"type\":\"SYNCED\"}\n\n"));
  Happen(1);
  EXPECT_TRUE(woken);
  EXPECT_THAT(ReadAll(*stream), StartsWith("id: epoch.3\ndata: "));
  EXPECT_EQ(ReadAll(*stream), "");
}

TEST_F(EventStreamsTest, AStreamGoesOnAfterTheEventThatItsClientSawLast) {
  Happen(5);
  const std::unique_ptr<HttpStream> stream = Open(After("epoch.3"));
  const std::string seen = ReadAll(*stream);
  EXPECT_THAT(seen, Not(HasSubstr("event-3.")));
  EXPECT_THAT(seen, HasSubstr("event-4."));
  EXPECT_THAT(seen, HasSubstr("event-5."));
  EXPECT_THAT(seen, Not(HasSubstr("SYNCED")));
}

TEST_F(EventStreamsTest, AVersionThatNobodyRemembersIsSaidAndEverythingTold) {
  Happen(3);
  for (const char* version : {"earlier.2", "epoch.4", "epoch", "", "\xff", "epoch.99999999999999999999999"}) {
    if (*version == '\0') continue;
    const std::unique_ptr<HttpStream> stream = Open(After(version));
    const std::string seen = ReadAll(*stream);
    EXPECT_THAT(seen, HasSubstr("event: RESOURCE_VERSION_EXPIRED\n")) << version;
    EXPECT_THAT(seen, HasSubstr("event-1."));
  }
}

TEST_F(EventStreamsTest, ATailIsTheLastOfWhatIsRemembered) {
  Happen(5);
  HttpRequest request = After("");
  request.parameters = {{"tail", "2"}};
  const std::string seen = ReadAll(*Open(request));
  EXPECT_THAT(seen, Not(HasSubstr("event-3.")));
  EXPECT_THAT(seen, HasSubstr("event-4."));
  request.parameters = {{"tail", "0"}};
  EXPECT_THAT(ReadAll(*Open(request)), Not(HasSubstr("event-")));
  request.parameters = {{"tail", "-1"}};
  EXPECT_EQ(streams_->Open(request).status, 400);
  request.parameters = {{"since", "yesterday"}};
  EXPECT_EQ(streams_->Open(request).status, 400);
}

TEST_F(EventStreamsTest, OneThatReadsTooSlowlyEnds) {
  Happen(1);
  const std::unique_ptr<HttpStream> slow = Open();
  const std::unique_ptr<HttpStream> quick = Open();
  EXPECT_THAT(ReadAll(*slow), HasSubstr("event-1."));
  for (int i = 0; i < 2; ++i) {
    Happen(EventLog::kMaxEvents / 2 + 1);
    EXPECT_NE(ReadAll(*quick), "");
  }
  EXPECT_EQ(slow->Next(), std::nullopt);
  EXPECT_EQ(streams_->lagged(), 1u);
  EXPECT_NE(quick->Next(), std::nullopt);
}

TEST_F(EventStreamsTest, AsManyAsOneMayHaveAndNotOneMore) {
  std::vector<std::unique_ptr<HttpStream>> streams;
  for (size_t i = 0; i < kMaxEventStreamsPerPeer; ++i) streams.push_back(Open());
  HttpReply refused = streams_->Open(After(""));
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("QUOTA_EXCEEDED"));
  EXPECT_EQ(refused.headers.front().first, "Retry-After");
  // Others have theirs, until all are given out.
  HttpRequest other = After("");
  other.peer = "uid 1";
  while (streams.size() < kMaxEventStreams) streams.push_back(Open(other));
  other.peer = "uid 2";
  EXPECT_EQ(streams_->Open(other).status, 503);
  EXPECT_EQ(streams_->open(), kMaxEventStreams);
  streams.pop_back();
  EXPECT_EQ(streams_->Open(other).status, 200);
}

TEST_F(EventStreamsTest, AStreamInWhichNothingHappensSaysThatItLives) {
  const std::unique_ptr<HttpStream> stream = Open();
  ReadAll(*stream);
  std::string heard;
  stream->SetWake([&] { heard += ReadAll(*stream); });
  for (int beat = 1; beat <= 3; ++beat) {
    clock_.Advance(kEventHeartbeat);
    while (loop_.RunOnce()) {
    }
    EXPECT_EQ(heard.size(), 3u * beat);
  }
  EXPECT_THAT(heard, StartsWith(":\n\n")) << "a comment, which no program sees";
}

TEST_F(EventStreamsTest, AStreamMayEndWhileItIsWoken) {
  std::unique_ptr<HttpStream> streams[3] = {Open(), Open(), Open()};
  for (auto& stream : streams) {
    stream->SetWake([&] {
      for (auto& each : streams) each = nullptr;
    });
  }
  Happen(1);
  EXPECT_EQ(streams_->open(), 0u);
}

TEST(EventFeedTest, AViewerSeesWhatBecomesOfVmsAndNotWhoDidIt) {
  EventLoop main;
  EventLog log(main);
  const auto add = [&](v1::Event::Type type, const char* object, bool by_somebody) {
    v1::Event event;
    event.set_type(type);
    event.set_object(object);
    if (by_somebody) event.mutable_actor()->set_uid(1000);
    log.Add(std::move(event));
  };
  std::vector<std::string> seen;
  EventFeed feed(main, log, [&](std::vector<EventFeed::Numbered> events) {
    for (const EventFeed::Numbered& each : events) seen.push_back(each.item->object());
  });
  add(v1::Event::LIFECYCLE, "vms/a", false);
  add(v1::Event::AUDIT, "vms/b", true);
  add(v1::Event::DENIAL, "api", true);
  add(v1::Event::LIFECYCLE, "daemon", false);
  add(v1::Event::DENIAL, "connections/1-1", false);
  while (main.RunOnce()) {
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("vms/a", "connections/1-1"));
}

TEST(EventFeedTest, MoreAtOnceThanAWatchMayBeBehindIsStillTold) {
  EventLoop main;
  EventLog log(main);
  size_t seen = 0;
  EventFeed feed(main, log, [&](std::vector<EventFeed::Numbered> events) { seen += events.size(); });
  for (size_t i = 0; i < EventLog::kMaxLag + 100; ++i) {
    v1::Event event;
    event.set_type(v1::Event::LIFECYCLE);
    event.set_object("vms/a");
    log.Add(std::move(event));
  }
  while (main.RunOnce()) {
  }
  EXPECT_EQ(seen, EventLog::kMaxLag + 100);
}

TEST(EventFeedTest, NothingIsDeliveredAfterItsEnd) {
  EventLoop main;
  EventLog log(main);
  size_t seen = 0;
  auto feed = std::make_unique<EventFeed>(main, log, [&](std::vector<EventFeed::Numbered>) { ++seen; });
  v1::Event event;
  event.set_type(v1::Event::LIFECYCLE);
  event.set_object("vms/a");
  log.Add(event);
  feed = nullptr;
  while (main.RunOnce()) {
  }
  EXPECT_EQ(seen, 0u);
  EXPECT_EQ(log.watches(), 0u);
}

}  // namespace
}  // namespace kinsock
