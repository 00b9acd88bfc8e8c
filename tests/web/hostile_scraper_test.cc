// SPDX-License-Identifier: Apache-2.0
//
// Clients of the HTTP socket that do not behave: each costs a bounded amount, and nobody else waits for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "tests/server/running_daemon.h"
#include "tests/support/stage.h"
#include "tests/web/http_client.h"
#include "web/http_limits.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;
using testing::RunningDaemon;

class HostileScraperTest : public ::testing::Test {
 protected:
  // So many have been hung up on.
  bool Abandoned(int times) {
    const std::string line = absl::StrCat("\nkinsock_http_abandoned_total ", times, "\n");
    return stage_.RunUntil([&] { return http_.Get("/metrics").body.find(line) != std::string::npos; });
  }

  RunningDaemon daemon_{Config(), nullptr, true};
  testing::Stage stage_;  // runs until something holds
  HttpClient http_{daemon_.http_socket()};
};

TEST_F(HostileScraperTest, ClientsThatReadNothingHoldNobodyUp) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(daemon_.Create("vm-" + std::to_string(i)).ok());
  std::vector<UniqueFd> idle;
  for (size_t i = 0; i + 4 < kMaxHttpConnectionsPerUid; ++i) {
    idle.push_back(http_.Connect());
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    ASSERT_EQ(send(idle.back().get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
  }
  EXPECT_THAT(http_.Get("/metrics").body, HasSubstr("vm=\"vm-49\""));
  EXPECT_TRUE(daemon_.Create("another").ok());
  // What was answered then is still there.
  EXPECT_EQ(HttpClient::Parse(HttpClient::ReadAll(idle.front())).status, 200);
}

TEST_F(HostileScraperTest, AThousandConnectionsCostNoMoreThanItsShareOfThem) {
  // Of the test, where both ends of each connection are.
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 1000; ++i) crowd.push_back(http_.Connect());
  // Of those that say nothing, the oldest give their place. Who comes after all of them shows that they have been seen.
  EXPECT_EQ(http_.Get("/livez").status, 200);
  EXPECT_EQ(HttpClient::ReadAll(crowd.front()), "");
  size_t held = 0;
  for (const UniqueFd& each : crowd) {
    char byte;
    if (recv(each.get(), &byte, 1, MSG_DONTWAIT) < 0) ++held;
  }
  EXPECT_LT(held, kMaxHttpConnectionsPerUid);
  EXPECT_TRUE(daemon_.Create("vm").ok()) << "the API goes on";
  crowd.clear();
  EXPECT_TRUE(stage_.RunUntil([&] { return http_.Get("/livez").status == 200; }));
}

TEST_F(HostileScraperTest, ARequestWithoutEndIsHungUpOn) {
  EXPECT_EQ(http_.Send("GET /" + std::string(2 * kMaxHttpHeadBytes, 'x')).status, 0);
  EXPECT_EQ(
      http_.Send("GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + std::string(kMaxHttpHeadBytes, 'x') + "\r\n\r\n").status,
      0);
  EXPECT_TRUE(Abandoned(2));
}

TEST_F(HostileScraperTest, ItEndsWithTheDaemonWhateverClientsDo) {
  const UniqueFd idle = http_.Connect();
  EXPECT_EQ(http_.Get("/livez").status, 200);
  daemon_.Stop();
  EXPECT_EQ(HttpClient::ReadAll(idle), "");
}

TEST_F(HostileScraperTest, WhoAsksForNothingIsHungUpOn) {
  const auto began = std::chrono::steady_clock::now();
  const UniqueFd silent = http_.Connect();
  const UniqueFd slow = http_.Connect();
  ASSERT_EQ(send(slow.get(), "GET /met", 8, MSG_NOSIGNAL), 8);
  EXPECT_EQ(HttpClient::ReadAll(silent), "");
  EXPECT_EQ(HttpClient::ReadAll(slow), "");
  EXPECT_GE(std::chrono::steady_clock::now() - began, kHttpRequestTime);
  EXPECT_TRUE(Abandoned(2));
}

struct Garbage {
  const char* what;
  std::string bytes;
  int status;  // 0: hung up on, without a word
};

TEST_F(HostileScraperTest, GarbageIsAnsweredOnceOrHungUpOn) {
  const std::string head = "GET /metrics HTTP/1.1\r\nHost: x\r\n";
  for (const Garbage& garbage : std::vector<Garbage>{
           {"zeros", std::string(64, '\0') + "\r\n\r\n", 400},
           {"zeros that do not end", std::string(2 * kMaxHttpHeadBytes, '\0'), 0},
           {"nothing", "\r\n\r\n", 400},
           {"TLS", "\x16\x03\x01\x02 not HTTP\r\n\r\n", 400},
           {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
           {"HTTP/0.9", "GET /metrics\r\n\r\n", 400},
           {"HTTP of the future", "GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n", 400},
           {"a method in lower case", "get /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400},
           {"a path that is none", "GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404},
           {"a path with a zero", "GET /metrics%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404},
           {"a whole URL", "GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404},
           // What a head says of a body is not looked at, nor is a body.
           {"a length that is no number of ours", head + "Content-Length: 99999999999999999999\r\n\r\n", 200},
           {"a line that is no header", head + "no colon\r\n\r\n", 200},
           {"a chunk without end",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 405}}) {
    const HttpAnswer answer = http_.Send(garbage.bytes);
    EXPECT_EQ(answer.status, garbage.status) << garbage.what;
    EXPECT_EQ(answer.body.find("HTTP/1.1"), std::string::npos) << garbage.what << " is answered twice";
  }
  EXPECT_TRUE(Abandoned(1));
  EXPECT_EQ(http_.Get("/livez").status, 200);
}

TEST_F(HostileScraperTest, WhoKeepsSendingIsHungUpOn) {
  const UniqueFd chatty = http_.Connect();
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
  // One request for each connection; it may not even take all that it is sent.
  send(chatty.get(), requests.data(), requests.size(), MSG_NOSIGNAL);
  const std::string answers = HttpClient::ReadAll(chatty);
  EXPECT_EQ(answers.find("HTTP/1.1", 1), std::string::npos) << answers;
  EXPECT_EQ(http_.Get("/livez").status, 200);
}

}  // namespace
}  // namespace kinsock
