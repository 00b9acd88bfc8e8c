// SPDX-License-Identifier: Apache-2.0
#include "web/http_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/web/http_client.h"
#include "web/http_stream.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;
using ::testing::Not;

class HttpAppTest : public ::testing::Test {
 protected:
  HttpAppTest() {
    for (HttpApp* app : {&app_, &tcp_}) {
      app->Get("/page", [this](const HttpRequest& request) {
        asked_ = request;
        return HttpReply{.body = "a page\n"};
      });
    }
  }

  HttpAnswer Send(const std::string& head, Role role = Role::kViewer) {
    return HttpClient::Parse(app_.Answer(head, role).bytes);
  }
  HttpAnswer SendByTcp(const std::string& host) {
    return HttpClient::Parse(tcp_.Answer("GET /page HTTP/1.1\r\n" + host + "\r\n", Role::kViewer).bytes);
  }

  HttpRequest asked_;
  HttpApp app_{false};
  HttpApp tcp_{true};
};

TEST_F(HttpAppTest, APageIsServedAndLetsNothingElseIn) {
  const HttpAnswer answer = Send("GET /page?verbose&top=3 HTTP/1.1\r\nHost: x\r\n\r\n", Role::kOperator);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a page\n");
  EXPECT_THAT(answer.headers, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(answer.headers, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(answer.headers, HasSubstr("Connection: close"));
  EXPECT_EQ(asked_.Parameter("top"), "3");
  EXPECT_EQ(asked_.parameters.count("verbose"), 1u);
  EXPECT_EQ(asked_.role, Role::kOperator);
}

// What the library does with ranges takes stack for each digit of them.
TEST_F(HttpAppTest, ARangeIsNotLookedAt) {
  HttpAnswer answer;
  const auto ask = [&] {
    answer = Send("GET /page HTTP/1.1\r\nHost: x\r\nrAnGe: bytes=" + std::string(7900, '1') + "\r\n\r\n");
  };
  pthread_attr_t small;
  pthread_attr_init(&small);
  ASSERT_EQ(pthread_attr_setstacksize(&small, 512 << 10), 0);
  pthread_t thread;
  std::function<void()> run = ask;
  const auto call = [](void* function) -> void* {
    (*static_cast<std::function<void()>*>(function))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &small, call, &run), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&small);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a page\n");
}

TEST_F(HttpAppTest, ItKnowsItsOwnByTheLettersOfThePath) {
  for (const char* head : {"GET /page HTTP/1.1\r\n\r\n", "HEAD /page?a=b HTTP/1.1\r\n\r\n", "GET /page"}) {
    EXPECT_TRUE(app_.Serves(head)) << head;
  }
  for (const char* head : {"GET /pages HTTP/1.1\r\n\r\n", "GET /p%61ge HTTP/1.1\r\n\r\n", "GET  /page", "GET", "",
                           "GET ", "\r\n\r\n", "GET http://localhost/page HTTP/1.1\r\n\r\n"}) {
    EXPECT_FALSE(app_.Serves(head)) << head;
  }
}

TEST_F(HttpAppTest, HeadIsAPageWithoutItsBody) {
  const HttpAnswer answer = Send("HEAD /page HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(HttpAppTest, NothingCanBeChanged) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PRI"}) {
    const HttpAnswer answer = Send(std::string(method) + " /page HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    EXPECT_GE(answer.status, 400) << method;
    EXPECT_LT(answer.status, 500) << method;
  }
  EXPECT_EQ(Send("POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").status, 405);
}

TEST_F(HttpAppTest, OtherPathsAreNotThere) {
  for (const char* path : {"/", "/page/", "/Page", "/..", "/page%00", "//page", "/pagE", "/page.html"}) {
    EXPECT_EQ(Send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 404) << path;
  }
}

TEST_F(HttpAppTest, WhoHasNoRoleSeesNothing) {
  EXPECT_EQ(Send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n", Role::kNone).status, 403);
}

TEST_F(HttpAppTest, OverTcpOnlyNamesOfTheLoopbackAreServed) {
  for (const char* host : {"localhost", "LOCALHOST:9470", "127.0.0.1", "127.0.0.1:9470", "[::1]:9470", "[::1]"}) {
    EXPECT_EQ(SendByTcp(std::string("Host: ") + host + "\r\n").status, 200) << host;
  }
  for (const char* host : {"Host: evil.example\r\n", "Host: localhost.evil.example\r\n", "Host: 127.0.0.1.evil:80\r\n",
                           "Host: localhost:evil\r\n", "Host:\r\n", "", "Host: 192.0.2.1\r\n"}) {
    EXPECT_EQ(SendByTcp(host).status, 403) << host;
  }
}

TEST_F(HttpAppTest, WhatABrowserShowsIsServedToNamesOfTheLoopbackOverAnySocket) {
  app_.Get(
      "/ui", [](const HttpRequest&) { return HttpReply{.body = "a picture\n"}; }, HttpApp::Hosts::kLoopback);
  EXPECT_EQ(Send("GET /ui HTTP/1.1\r\nHost: localhost:9470\r\n\r\n").status, 200);
  EXPECT_EQ(Send("GET /ui HTTP/1.1\r\nHost: evil.example:9470\r\n\r\n").status, 403);
  EXPECT_EQ(Send("GET /page HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 200);
}

TEST_F(HttpAppTest, PathsBelowAPrefixAreOfOneHandler) {
  app_.GetBelow("/vms/", [](const HttpRequest& request) { return HttpReply{.body = request.path}; });
  EXPECT_EQ(Send("GET /vms/web-1 HTTP/1.1\r\nHost: x\r\n\r\n").body, "/vms/web-1");
  EXPECT_EQ(Send("GET /vms/" + std::string(7000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  for (const char* path : {"/vms", "/vms/", "/vms/a/b", "/vms/a/"}) {
    EXPECT_EQ(Send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 404) << path;
  }
  EXPECT_EQ(app_.counts().at({"/vms/", 200}), 2u) << "one path, whoever is below it";
}

class Silence final : public HttpStream {
 public:
  std::optional<std::string> Next() override { return ""; }
  void SetWake(std::function<void()>) override {}
};

TEST_F(HttpAppTest, AStreamHasAHeadWithoutALengthAndNoBodyYet) {
  app_.Get("/stream", [](const HttpRequest& request) {
    return HttpReply{.type = "text/event-stream",
                     .headers = {{"X-From", request.last_event_id}},
                     .stream = std::make_unique<Silence>()};
  });
  HttpOutput output =
      app_.Answer("GET /stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: e.17\r\n\r\n", Role::kViewer, "uid 0");
  EXPECT_NE(output.stream, nullptr);
  const HttpAnswer answer = HttpClient::Parse(output.bytes);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_THAT(answer.headers, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(answer.headers, HasSubstr("X-From: e.17"));
  EXPECT_THAT(answer.headers, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(answer.headers, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_EQ(app_.Answer("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n", Role::kViewer).stream, nullptr);
}

TEST_F(HttpAppTest, ManyRangesDoNotMakeManyAnswers) {
  std::string ranges = "Range: bytes=0-";
  while (ranges.size() < 7000) ranges += ",0-";
  const HttpAnswer answer = Send("GET /page HTTP/1.1\r\nHost: x\r\n" + ranges + "\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a page\n");
}

TEST_F(HttpAppTest, NothingIsCompressedWhateverABrowserAsksFor) {
  app_.Get("/long",
           [](const HttpRequest&) { return HttpReply{.type = "application/json", .body = std::string(100'000, ' ')}; });
  const HttpAnswer answer = Send("GET /long HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n");
  EXPECT_THAT(answer.headers, Not(HasSubstr("Content-Encoding")));
  EXPECT_EQ(answer.body.size(), 100'000u);
}

TEST_F(HttpAppTest, LongNumbersAndBlanksInARangeAreOnlyText) {
  for (const std::string& range : {"bytes=" + std::string(8000, '9'), "bytes=" + std::string(8000, '9') + "-",
                                   "bytes=0-," + std::string(8000, ' '), "bytes=" + std::string(8000, '-')}) {
    const int status = Send("GET /page HTTP/1.1\r\nHost: x\r\nRange: " + range + "\r\n\r\n").status;
    EXPECT_TRUE(status == 200 || (status >= 400 && status < 500)) << status;
  }
}

TEST_F(HttpAppTest, WhatIsNoRequestIsRefused) {
  for (const std::string& head : {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("GET /page\r\n\r\n"),
                                  std::string("GET /page HTTP/9.9\r\n\r\n"), std::string("\x16\x03\x01 TLS\r\n\r\n"),
                                  std::string(4000, 'A') + "\r\n\r\n", std::string(64, '\0') + "\r\n\r\n",
                                  std::string("GET /%zz%%% HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    const int status = Send(head).status;
    EXPECT_TRUE(status == 0 || (status >= 400 && status < 500)) << head.substr(0, 40) << ": " << status;
  }
}

TEST_F(HttpAppTest, RequestsAreCountedByPathsThatThereAre) {
  Send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  for (int i = 0; i < 100; ++i) Send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(app_.counts().at({"/page", 200}), 1u);
  EXPECT_EQ(app_.counts().at({"other", 404}), 100u);
  EXPECT_EQ(app_.counts().size(), 2u);
}

}  // namespace
}  // namespace kinsock
