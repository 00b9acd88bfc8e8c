// SPDX-License-Identifier: Apache-2.0
//
// What a browser meets: all of the daemon, and simulated guests. What the page makes of it is seen in a real browser,
// in tests/e2e/test_page.py.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/google/rpc/status.pb.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/web/http_client.h"
#include "tests/web/watched_guests.h"
#include "web/http_limits.h"
#include "web/page/page_files.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kHost[] = "Host: localhost\r\n";

// One who follows the events, and reads when he wants to.
class Follower {
 public:
  explicit Follower(const HttpClient& http, const std::string& headers = "", const std::string& query = "")
      : socket_(http.Connect()) {
    const std::string request = absl::StrCat("GET /api/v1/events", query, " HTTP/1.1\r\n", kHost, headers, "\r\n");
    EXPECT_EQ(send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  }

  // Reads until `text` has come, or the stream ends. Everything that has come.
  const std::string& ReadUntil(const std::string& text) {
    char chunk[65536];
    while (seen_.find(text) == std::string::npos) {
      const ssize_t count = recv(socket_.get(), chunk, sizeof(chunk), 0);
      if (count <= 0) break;
      seen_.append(chunk, static_cast<size_t>(count));
    }
    return seen_;
  }
  // The id of the last event that has come.
  std::string LastId() const {
    const size_t at = seen_.rfind("\nid: ");
    if (at == std::string::npos) return "";
    return seen_.substr(at + 5, seen_.find('\n', at + 1) - at - 5);
  }
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  std::string seen_;
};

class PageTest : public testing::WatchedGuests {
 protected:
  using WatchedGuests::WatchedGuests;

  // What is answered at `path`, of which the JSON is to be a message of its kind.
  template <typename Message>
  Message Ask(const std::string& path) {
    const HttpAnswer answer = http_.Get(path);
    EXPECT_EQ(answer.status, 200) << path << ": " << answer.body;
    EXPECT_THAT(answer.headers, HasSubstr("Content-Type: application/json"));
    Message message;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(answer.body, &message).ok()) << answer.body;
    return message;
  }
  // The same of a question that is refused.
  google::rpc::Status AskInVain(const std::string& path, int status) {
    const HttpAnswer answer = http_.Get(path);
    EXPECT_EQ(answer.status, status) << path << ": " << answer.body;
    google::rpc::Status wrong;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(answer.body, &wrong).ok()) << answer.body;
    return wrong;
  }
};

TEST_F(PageTest, TheJsonIsWhatTheApiAnswers) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 50'000);

  EXPECT_EQ(Ask<v1::Info>("/api/v1/info").instance_id(), daemon_.Info().instance_id());
  const auto vms = Ask<v1::ListVmsResponse>("/api/v1/vms?view=FULL");
  ASSERT_EQ(vms.vms_size(), 2);
  EXPECT_EQ(vms.vms(0).status().state(), v1::VmStatus::ACTIVE);
  EXPECT_EQ(vms.vms(0).status().stats().from_guest().sibling_bytes(), 50'000u);
  EXPECT_FALSE(Ask<v1::ListVmsResponse>("/api/v1/vms").vms(0).status().has_stats());
  v1::Vm by_api;
  ASSERT_TRUE(daemon_.Get("vms/b", &by_api).ok());
  EXPECT_EQ(Ask<v1::Vm>("/api/v1/vms/b").SerializeAsString(), by_api.SerializeAsString());
  const auto connections = Ask<v1::ListConnectionsResponse>("/api/v1/connections?vm=vms/b&order_by=-bytes_per_second");
  ASSERT_EQ(connections.connections_size(), 1);
  EXPECT_EQ(connections.connections(0).to_target().bytes(), 50'000u);
  const auto pairs = Ask<v1::StatsReport>("/api/v1/pairs?top=5");
  ASSERT_EQ(pairs.pairs_size(), 1);
  EXPECT_EQ(pairs.pairs(0).initiator().vm(), "vms/a");
  EXPECT_EQ(pairs.pairs(0).to_target().bytes(), 50'000u);
  const auto cids = Ask<v1::ListCidsResponse>("/api/v1/cids");
  ASSERT_EQ(cids.cids_size(), 2);
  EXPECT_EQ(cids.cids(1).holder(), "vms/b");
}

TEST_F(PageTest, ListsArePagedAndFilteredAsInTheApi) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(daemon_.Create(id).ok());
  const auto first = Ask<v1::ListVmsResponse>("/api/v1/vms?page_size=2");
  EXPECT_EQ(first.vms_size(), 2);
  const auto rest =
      Ask<v1::ListVmsResponse>(absl::StrCat("/api/v1/vms?page_size=2&page_token=", first.next_page_token()));
  ASSERT_EQ(rest.vms_size(), 1);
  EXPECT_EQ(rest.vms(0).name(), "vms/c");
  EXPECT_EQ(Ask<v1::ListVmsResponse>("/api/v1/vms?filter=name%20%3D%20vms/b").vms_size(), 1);
}

TEST_F(PageTest, WhatIsWrongIsSaidInTheWordsOfTheApi) {
  EXPECT_EQ(AskInVain("/api/v1/vms/nobody", 404).code(), static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_THAT(http_.Get("/api/v1/vms/nobody").body, HasSubstr("\"reason\":\"VM_NOT_FOUND\""));
  EXPECT_THAT(AskInVain("/api/v1/vms?filter=%3D", 400).message(), HasSubstr("filter"));
  EXPECT_THAT(AskInVain("/api/v1/vms?page_size=x", 400).message(), HasSubstr("is not a number"));
  EXPECT_THAT(AskInVain("/api/v1/pairs?scope=VM", 400).message(), HasSubstr("scope"));
  AskInVain("/api/v1/vms/A%20B", 400);
  AskInVain("/api/v1/cids?parent=networks/none", 404);
  AskInVain("/api/v1/vms?page_token=%FF%FE", 400);
  EXPECT_EQ(http_.Get("/api/v1/forwards").status, 404);
  EXPECT_EQ(http_.Send(absl::StrCat("POST /api/v1/vms HTTP/1.1\r\n", kHost, "Content-Length: 2\r\n\r\n{}")).status,
            405);
}

TEST_F(PageTest, ThePageIsWholeAndLoadsNothingFromElsewhere) {
  size_t scripts = 0;
  for (const PageFile& file : PageFiles()) {
    const HttpAnswer answer = http_.Get(file.path);
    EXPECT_EQ(answer.status, 200) << file.path;
    EXPECT_EQ(answer.body, file.content);
    EXPECT_THAT(answer.headers, HasSubstr(absl::StrCat("Content-Type: ", file.type, "\r\n")));
    EXPECT_THAT(answer.headers, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; "));
    EXPECT_THAT(answer.headers, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(answer.headers, HasSubstr("X-Content-Type-Options: nosniff"));
    EXPECT_THAT(answer.headers, HasSubstr("Referrer-Policy: no-referrer"));
    const std::string text(file.content);
    if (std::string(file.path).find(".js") != std::string::npos) ++scripts;
    for (const char* markup : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                               "new Function", "srcdoc", "https://"}) {
      EXPECT_THAT(text, Not(HasSubstr(markup))) << file.path;
    }
  }
  EXPECT_GT(scripts, 5u);
  EXPECT_THAT(http_.Get("/").body, StartsWith("<!DOCTYPE html>"));
  EXPECT_EQ(http_.Get("/", "Host: evil.example\r\n").status, 403) << "a tunnel may end in somebody's browser";
  EXPECT_EQ(http_.Get("/api/v1/vms", "Host: evil.example\r\n").status, 403);
  EXPECT_EQ(http_.Get("/ui/", kHost).status, 404);
  EXPECT_EQ(http_.Get("/ui/../../../etc/passwd", kHost).status, 404);
}

TEST_F(PageTest, EventsComeAsTheyHappenAndGoOnWhereTheyWereLeft) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  std::string last;
  {
    Follower follower(http_);
    EXPECT_THAT(follower.ReadUntil("SYNCED"), HasSubstr("Content-Type: text/event-stream"));
    ASSERT_TRUE(daemon_.Create("b").ok());
    EXPECT_THAT(follower.ReadUntil("\"object\":\"vms/b\",\"reason\":\"VM_CREATED\""), HasSubstr("vms/b"));
    follower.ReadUntil("\n\n");
    last = follower.LastId();
  }
  ASSERT_TRUE(daemon_.Create("c").ok());
  Follower again(http_, absl::StrCat("Last-Event-ID: ", last, "\r\n"));
  const std::string seen = again.ReadUntil("\"object\":\"vms/c\",\"reason\":\"VM_CREATED\"");
  EXPECT_THAT(seen, HasSubstr("\"object\":\"vms/c\""));
  EXPECT_THAT(seen, Not(HasSubstr("\"object\":\"vms/a\"")));
  EXPECT_THAT(seen, Not(HasSubstr("AUDIT"))) << "who did it is the operator's to see";
}

TEST_F(PageTest, ADeniedConnectionIsAnEvent) {
  Boot("lone-0", 3, a_, "group-0");
  Boot("lone-1", 4, b_, "group-1");
  b_.Listen(80);
  const testing::Stream denied = a_.Connect(b_.cid(), 80);
  EXPECT_TRUE(stage_.RunUntil([&] { return denied.closed(); }));
  Follower follower(http_);
  const std::string seen = follower.ReadUntil("POLICY_DENIED");
  EXPECT_THAT(seen, HasSubstr("\"type\":\"DENIAL\""));
  EXPECT_THAT(follower.ReadUntil("\"target\":"), HasSubstr("\"initiator\":\"vms/lone-0\""));
}

// Far more than there are events of it.
TEST_F(PageTest, APairTellsEveryTimeThatItWasDenied) {
  Boot("lone-0", 3, a_, "group-0");
  Boot("lone-1", 4, b_, "group-1");
  constexpr int kTimes = 200;
  for (int i = 0; i < kTimes; ++i) {
    const testing::Stream denied = a_.Connect(b_.cid(), 22);
    ASSERT_TRUE(stage_.RunUntil([&] { return denied.closed(); }));
  }
  v1::StatsReport report;
  ASSERT_TRUE(stage_.RunUntil([&] {
    report = Ask<v1::StatsReport>("/api/v1/pairs?with_denied=true");
    return report.pairs_size() == 1 && report.pairs(0).connects_denied() == kTimes;
  }));
  EXPECT_EQ(report.pairs(0).target().vm(), "vms/lone-1");
  EXPECT_EQ(report.pairs(0).last_denial().port(), 22u);
  AskInVain("/api/v1/pairs?with_denied=maybe", 400);
}

TEST_F(PageTest, AFollowerWhoReadsNothingIsLetGoAndTheOthersAreNot) {
  const Follower silent(http_);
  const int least = 4096;
  ASSERT_EQ(setsockopt(silent.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
  Follower reader(http_);
  reader.ReadUntil("SYNCED");
  // More than all buffers on the way hold.
  for (int i = 0; i < 1000; ++i) {
    const std::string id = absl::StrCat("vm-", i);
    ASSERT_TRUE(daemon_.Create(id).ok());
    ASSERT_TRUE(daemon_.Delete(id).ok());
    reader.ReadUntil(absl::StrCat("\"vms/", id, "\""));
  }
  ASSERT_TRUE(daemon_.Create("last").ok());
  EXPECT_THAT(reader.ReadUntil("vms/last"), HasSubstr("vms/last"));
  EXPECT_TRUE(stage_.RunUntil(
      [&] { return http_.Get("/metrics").body.find("kinsock_http_event_streams 1\n") != std::string::npos; },
      2 * kHttpAnswerTime + testing::Stage::kPatience));
}

TEST_F(PageTest, StreamsAreBoundedAndTheDaemonDoesNotWaitForThem) {
  std::vector<std::unique_ptr<Follower>> followers;
  for (size_t i = 0; i < kMaxEventStreamsPerPeer; ++i) {
    followers.push_back(std::make_unique<Follower>(http_));
    followers.back()->ReadUntil("SYNCED");
  }
  const HttpAnswer refused = http_.Get("/api/v1/events");
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.headers, HasSubstr("Retry-After: "));
  EXPECT_THAT(refused.body, HasSubstr("QUOTA_EXCEEDED"));
  EXPECT_EQ(http_.Get("/livez").status, 200);
  daemon_.Stop();
  for (const auto& follower : followers) follower->ReadUntil("never");  // each ends, or this does not
}

// What the page does each second, of a browser that opens so many of them.
TEST_F(PageTest, AThousandTabsAskTheDaemonAsOneDoes) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(daemon_.Create("vm-" + std::to_string(i)).ok());
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  // Each wants a stream, and goes without when it gets none.
  std::vector<std::unique_ptr<Follower>> streams;
  for (int tab = 0; tab < 1000; ++tab) {
    auto follower = std::make_unique<Follower>(http_);
    if (follower->ReadUntil("\r\n\r\n").find("HTTP/1.1 200") == 0) streams.push_back(std::move(follower));
  }
  EXPECT_EQ(streams.size(), kMaxEventStreamsPerPeer);
  const auto begin = std::chrono::steady_clock::now();
  int answered = 0, busy = 0;
  for (int tab = 0; tab < 1000; ++tab) {
    // The last one is another question of each tab.
    for (const std::string& path : {std::string("/api/v1/info"), std::string("/api/v1/vms?view=FULL&page_size=1000"),
                                    absl::StrCat("/api/v1/pairs?top=", tab + 1)}) {
      const int status = http_.Get(path).status;
      status == 200 ? ++answered : ++busy;
      EXPECT_TRUE(status == 200 || status == 503) << status;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(answered, 0);
  EXPECT_TRUE(daemon_.Create("another").ok()) << "the API goes on";
  const std::string metrics = http_.Get("/metrics").body;
  const std::string counter = "\nkinsock_http_questions_total ";
  const size_t at = metrics.find(counter);
  ASSERT_NE(at, std::string::npos);
  const double questions = std::stod(metrics.substr(at + counter.size()));
  EXPECT_LE(questions, kJsonQuestionBurst + kJsonQuestionsPerSecond * took.count() + 1);
  EXPECT_GT(busy, 0);
  RecordProperty("answered", answered);
  RecordProperty("busy", busy);
}

// Who watches over the daemon would start it anew.
TEST_F(PageTest, ACrowdDoesNotMakeItLookDead) {
  std::vector<UniqueFd> crowd;
  for (size_t i = 0; i < kMaxHttpConnectionsPerUid; ++i) crowd.push_back(http_.Connect());
  EXPECT_EQ(http_.Get("/livez").status, 200);
  EXPECT_THAT(http_.Get("/metrics").body, Not(HasSubstr("kinsock_http_refused_total 0\n")));
}

class NoPageTest : public PageTest {
 protected:
  static Config WithoutPage() {
    Config config;
    config.http.ui = false;
    return config;
  }
  NoPageTest() : PageTest(WithoutPage()) {}
};

TEST_F(NoPageTest, MetricsAndHealthAreServedAlone) {
  for (const char* path : {"/", "/ui/main.js", "/api/v1/info", "/api/v1/vms/a", "/api/v1/events"}) {
    EXPECT_EQ(http_.Get(path).status, 404) << path;
  }
  EXPECT_EQ(http_.Get("/livez").status, 200);
  EXPECT_EQ(http_.Get("/metrics").status, 200);
}

}  // namespace
}  // namespace kinsock
