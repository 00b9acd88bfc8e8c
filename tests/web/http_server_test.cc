// SPDX-License-Identifier: Apache-2.0
#include "web/http_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "server/host/bound_socket.h"
#include "tests/support/temp_dir.h"
#include "tests/web/http_client.h"
#include "web/http_limits.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;

HttpOutput Saying(const std::string& body) {
  return {absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body), nullptr};
}

// A server that answers /live at once, and to which any other answer is work, until the test lets it go.
class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / "http.sock", 128, 0600);
    EXPECT_TRUE(socket.ok()) << socket.status();
    const auto at_once = [](std::string_view head, const Caller&) -> std::optional<HttpOutput> {
      if (!absl::StartsWith(AbslView(head), "GET /live ")) return std::nullopt;
      return Saying("yes");
    };
    server_ = std::make_unique<HttpServer>(
        *std::move(socket), [](int) { return Caller{.role = Role::kViewer}; },
        HttpServer::Answers{at_once, at_once, [this](std::string_view head, const Caller&) { return Work(head); }},
        [this] { stopped_.set_value(); });
    EXPECT_TRUE(server_->Start().ok());
  }
  ~HttpServerTest() override { let_go_.release(kMany); }

  HttpOutput Work(std::string_view head) {
    EXPECT_EQ(working_.fetch_add(1), 0) << "one after the other";
    begun_.release();
    let_go_.acquire();
    working_.fetch_sub(1);
    worked_out_.push_back(std::string(head.substr(0, head.find(" HTTP"))));
    return Saying(worked_out_.back());
  }

  // A request of which nobody has read the answer.
  UniqueFd Ask(const std::string& path) const {
    UniqueFd connection = http_.Connect();
    const std::string request = absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    return connection;
  }
  static std::string BodyOf(const UniqueFd& connection) {
    return HttpClient::Parse(HttpClient::ReadAll(connection)).body;
  }

  static constexpr std::ptrdiff_t kMany = 1000;

  const testing::TempDir dir_;
  const HttpClient http_{dir_ / "http.sock"};
  std::atomic<int> working_{0};
  std::counting_semaphore<kMany> begun_{0}, let_go_{0};
  std::vector<std::string> worked_out_;  // the second thread's, until the server has stopped
  std::promise<void> stopped_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, WhoAsksForWhatIsKnownDoesNotWaitForTheWorkOfAnother) {
  const UniqueFd scrape = Ask("/metrics");
  begun_.acquire();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(http_.Get("/live").body, "yes");
  let_go_.release();
  EXPECT_EQ(BodyOf(scrape), "GET /metrics");
}

TEST_F(HttpServerTest, WhoAsksTakesThePlaceOfTheOneThatHasBeenSilentForLongest) {
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < kMaxHttpConnectionsPerUid; ++i) silent.push_back(http_.Connect());
  const UniqueFd asking = Ask("/metrics");
  begun_.acquire();
  EXPECT_EQ(HttpClient::ReadAll(silent.front()), "") << "hung up on";
  let_go_.release();
  EXPECT_EQ(BodyOf(asking), "GET /metrics");
  EXPECT_EQ(server_->refused(), 1u);
}

TEST_F(HttpServerTest, WhoIsOneTooManyIsToldSoUnlessHeAsksWhatEverybodyMay) {
  std::vector<UniqueFd> asking;
  for (size_t i = 0; i < kMaxHttpConnectionsPerUid; ++i) asking.push_back(Ask("/metrics"));
  begun_.acquire();
  const HttpAnswer refused = http_.Get("/metrics");
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.headers, HasSubstr("Retry-After: "));
  EXPECT_THAT(refused.body, HasSubstr("too many connections"));
  EXPECT_EQ(http_.Get("/live").body, "yes");

  // Others that are too many and say nothing do not change that.
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < 2 * kMaxHttpRefusals; ++i) silent.push_back(http_.Connect());
  EXPECT_EQ(http_.Get("/live").body, "yes");
  EXPECT_EQ(HttpClient::Parse(HttpClient::ReadAll(silent.back())).status, 503) << "in the end, unasked";
}

TEST_F(HttpServerTest, WorkIsDoneOneAfterTheOtherInTheOrderOfTheRequests) {
  std::vector<UniqueFd> scrapes;
  scrapes.push_back(Ask("/0"));
  begun_.acquire();
  for (int i = 1; i < 5; ++i) {
    scrapes.push_back(Ask(absl::StrCat("/", i)));
    // It was read before one that came later was answered.
    EXPECT_EQ(http_.Get("/live").body, "yes");
  }
  let_go_.release(5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(BodyOf(scrapes[static_cast<size_t>(i)]), absl::StrCat("GET /", i));
  server_.reset();
  EXPECT_THAT(worked_out_, ElementsAre("GET /0", "GET /1", "GET /2", "GET /3", "GET /4"));
}

TEST_F(HttpServerTest, NothingIsWorkedOutForOneWhoHasGone) {
  const UniqueFd first = Ask("/first");
  begun_.acquire();
  for (int i = 0; i < 20; ++i) {
    Ask("/gone");  // and hangs up
    EXPECT_EQ(http_.Get("/live").body, "yes");
  }
  const UniqueFd last = Ask("/last");
  EXPECT_EQ(http_.Get("/live").body, "yes");
  let_go_.release(2);
  EXPECT_EQ(BodyOf(first), "GET /first");
  EXPECT_EQ(BodyOf(last), "GET /last");
  server_.reset();
  EXPECT_THAT(worked_out_, ElementsAre("GET /first", "GET /last"));
}

TEST_F(HttpServerTest, OneWhoGoesWhileHisAnswerIsWorkedOutLeavesNothingBehind) {
  {
    const UniqueFd gone = Ask("/gone");
    begun_.acquire();
  }
  let_go_.release();
  const UniqueFd next = Ask("/next");  // perhaps with the same descriptor
  let_go_.release();
  EXPECT_EQ(BodyOf(next), "GET /next");
}

TEST_F(HttpServerTest, TheEndWaitsForWhatIsWorkedOutAndForNothingElse) {
  const UniqueFd first = Ask("/first");
  begun_.acquire();
  const UniqueFd second = Ask("/second");
  EXPECT_EQ(http_.Get("/live").body, "yes");
  std::future<void> stopped = stopped_.get_future();
  server_->Stop();
  EXPECT_EQ(BodyOf(second), "") << "hung up on";
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  let_go_.release();
  stopped.wait();
  server_.reset();
  EXPECT_THAT(worked_out_, ElementsAre("GET /first"));
}

// epoll takes no file that cannot be waited for, as it takes nothing when its user has as many as he may.
TEST(UnheardHttpServerTest, OneThatNobodyCanReachDoesNotStartAndSaysWhatToDo) {
  bool stopped = false;
  {
    HttpServer server(
        BoundSocket::WithoutFile(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC))), [](int) { return Caller(); },
        HttpServer::Answers(), [&stopped] { stopped = true; });
    const absl::Status started = server.Start();
    EXPECT_FALSE(started.ok());
    EXPECT_THAT(std::string(started.message()), HasSubstr("raise fs.epoll.max_user_watches"));
  }
  EXPECT_FALSE(stopped) << "there was no thread to stop";
}

}  // namespace
}  // namespace kinsock
