// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_greeter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

using namespace std::string_literals;

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const std::string kSettings = "\0\0\0\4\0\0\0\0\0"s;
const std::string kAck = "\0\0\0\4\1\0\0\0\0"s;
const std::string kHeaders = "\0\0\3\1\4\0\0\0\1abc"s;

TEST(AcknowledgesSettingsTest, LooksThroughTheFrames) {
  EXPECT_EQ(AcknowledgesSettings(kPreface + kSettings + kAck), Acknowledged::kYes);
  EXPECT_EQ(AcknowledgesSettings(kPreface + "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\1"s + kHeaders + kAck), Acknowledged::kYes);
  // Cut anywhere before its end, it is not there yet.
  const std::string all = kPreface + kSettings + kHeaders + kAck;
  for (size_t bytes = 0; bytes < all.size(); ++bytes) {
    EXPECT_EQ(AcknowledgesSettings(all.substr(0, bytes)), Acknowledged::kNo) << bytes;
  }
  EXPECT_EQ(AcknowledgesSettings(all), Acknowledged::kYes);
  // Bytes that look like one inside of another frame are none.
  EXPECT_EQ(AcknowledgesSettings(kPreface + kSettings + "\0\0\x9\0\0\0\0\0\1"s + kAck), Acknowledged::kNo);
}

TEST(AcknowledgesSettingsTest, KnowsWhatWillNeverBeOne) {
  for (const std::string& received :
       {"GET / HTTP/1.1\r\n"s, "X"s, kPreface + kAck, kPreface + kHeaders,
        kPreface + "\0\0\1\4\0\0\0\0\0x"s + "\0\0\1\4\1\0\0\0\0x"s, kPreface + kSettings + "\0\0\0\4\1\0\0\0\1"s,
        kPreface + kSettings + "\0\x40\1\0\0\0\0\0\1"s}) {
    EXPECT_EQ(AcknowledgesSettings(received), Acknowledged::kNever) << ::testing::PrintToString(received);
  }
}

class ApiGreeterTest : public ::testing::Test {
 protected:
  ApiGreeterTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_.reset(ends[0]);
    greeter_.Greet(UniqueFd(ends[1]));
  }

  void Send(const std::string& bytes) {
    ASSERT_EQ(send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    Serve();
  }

  void Serve() {
    while (loop_.RunOnce()) {
    }
  }

  // All that is there to read.
  static std::string ReadAll(const UniqueFd& fd) {
    std::string text(1 << 20, '\0');
    const ssize_t got = read(fd.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
  }

  // Whether the client is hung up on; what it is told last, in `text`.
  bool HungUp(std::string* text = nullptr) {
    std::string said = ReadAll(client_);
    if (text != nullptr) *text = std::move(said);
    char byte;
    return read(client_.get(), &byte, 1) == 0 || errno == ECONNRESET;
  }

  void ExpectToldToCalmDown() {
    std::string text;
    EXPECT_TRUE(HungUp(&text));
    EXPECT_THAT(text, ::testing::HasSubstr("\7\0\0\0\0\0\0\0\0\0\0\0\0\xb"s + "acknowledge SETTINGS"));
  }

  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  UniqueFd client_;
  std::vector<UniqueFd> greeted_;
  ApiGreeter greeter_{loop_, [this](UniqueFd connection) { greeted_.push_back(std::move(connection)); }};
};

TEST_F(ApiGreeterTest, AClientHearsFirstHowManyCallsItMayHave) {
  EXPECT_EQ(ReadAll(client_), "\0\0\6\4\0\0\0\0\0\0\3\0\0\4\0"s);
}

TEST_F(ApiGreeterTest, WhoAcknowledgesGoesOnWithEveryByte) {
  Send(kPreface + kSettings + kHeaders);
  EXPECT_TRUE(greeted_.empty());
  Send(kAck.substr(0, 4));
  EXPECT_TRUE(greeted_.empty());
  Send(kAck.substr(4) + "more");
  ASSERT_EQ(greeted_.size(), 1u);
  EXPECT_EQ(ReadAll(greeted_.front()), kPreface + kSettings + kHeaders + kAck + "more");
  EXPECT_EQ(greeter_.waiting(), 0u);
  // Its time is no longer measured.
  clock_.Advance(std::chrono::hours(1));
  Serve();
  Send("and more");
  EXPECT_EQ(ReadAll(greeted_.front()), "and more");
}

TEST_F(ApiGreeterTest, WhoNeverAcknowledgesIsHungUpOn) {
  Send(kPreface + kSettings + kHeaders);
  clock_.Advance(ApiGreeter::kPatience);
  Serve();
  ExpectToldToCalmDown();
  EXPECT_EQ(greeter_.waiting(), 0u);
}

// Its acknowledgement would come behind what does not go out.
TEST_F(ApiGreeterTest, WhoFillsItsSocketBeforeItReadsIsToldWhy) {
  Send(kPreface + kSettings);
  const std::string ping = "\0\0\x8\6\0\0\0\0\0"s + std::string(8, 'x');
  while (send(client_.get(), ping.data(), ping.size(), MSG_NOSIGNAL) > 0) {
  }
  ASSERT_EQ(errno, EAGAIN);
  Serve();
  clock_.Advance(ApiGreeter::kPatience);
  Serve();
  ExpectToldToCalmDown();
}

TEST_F(ApiGreeterTest, WhoSpeaksSomethingElseIsHungUpOnAtOnce) {
  Send("GET / HTTP/1.1\r\n\r\n");
  std::string text;
  EXPECT_TRUE(HungUp(&text));
  EXPECT_EQ(text.size(), 15u) << "the greeting, and nothing else";
}

TEST_F(ApiGreeterTest, WhoSaysTooMuchBeforeIsHungUpOn) {
  Send(kPreface + kSettings);
  const std::string frame = "\0\x40\0\0\0\0\0\0\1"s + std::string(16'384, 'x');
  for (int i = 0; i < 6 && greeter_.waiting() > 0; ++i) Send(frame);
  ExpectToldToCalmDown();
}

TEST_F(ApiGreeterTest, WhoDripsIsHungUpOn) {
  Send(kPreface + kSettings);
  for (int i = 0; i < ApiGreeter::kMaxLooks && greeter_.waiting() > 0; ++i) Send("\0"s);
  ExpectToldToCalmDown();
}

TEST_F(ApiGreeterTest, WhoGoesAwayIsForgotten) {
  client_.reset();
  Serve();
  EXPECT_EQ(greeter_.waiting(), 0u);
  EXPECT_TRUE(greeted_.empty());
}

}  // namespace
}  // namespace kinsock
