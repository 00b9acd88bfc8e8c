// SPDX-License-Identifier: Apache-2.0
#include "device/guest_notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using Word = GuestNotice::Word;

TEST(GuestNoticeTest, ReadyAndStopping) {
  GuestNotice notice;
  EXPECT_EQ(notice.word(), Word::kNone);
  EXPECT_TRUE(notice.Take("READY=1"));
  EXPECT_EQ(notice.word(), Word::kReady);
  EXPECT_FALSE(notice.Take("READY=1")) << "nothing new";
  EXPECT_TRUE(notice.Take("STOPPING=1"));
  EXPECT_EQ(notice.word(), Word::kStopping);
  notice.Clear();
  EXPECT_EQ(notice.word(), Word::kNone);
}

TEST(GuestNoticeTest, WhatASystemManagerSaysWhileItBoots) {
  GuestNotice notice;
  for (const char* line : {"X_SYSTEMD_SIGNALS_LEVEL=2", "X_SYSTEMD_UNIT_ACTIVE=basic.target", "STATUS=Starting.",
                           "X_SYSTEMD_UNIT_ACTIVE=multi-user.target", "READY=1", "STATUS=Startup finished in 3s."}) {
    notice.Take(line);
  }
  EXPECT_EQ(notice.word(), Word::kReady);
  EXPECT_EQ(notice.Describe(), "status \"Startup finished in 3s.\", active unit \"multi-user.target\"");
}

TEST(GuestNoticeTest, HowItEnds) {
  GuestNotice notice;
  EXPECT_TRUE(notice.Take("EXIT_STATUS=3"));
  EXPECT_TRUE(notice.Take("ERRNO=2"));
  EXPECT_TRUE(notice.Take("X_SYSTEMD_SHUTDOWN=poweroff"));
  EXPECT_EQ(notice.Describe(), "errno \"2\", exit status \"3\", shutdown \"poweroff\"");
}

TEST(GuestNoticeTest, WhatIsNotKnownSaysNothing) {
  GuestNotice notice;
  for (const char* line : {"", "=", "READY", "READY=0", "READY=1 ", " READY=1", "ready=1", "WATCHDOG=1", "STATUS",
                           "STATUSES=x", "FDSTORE=1", "MAINPID=1"}) {
    EXPECT_FALSE(notice.Take(line)) << line;
  }
  EXPECT_EQ(notice.word(), Word::kNone);
  EXPECT_EQ(notice.Describe(), "");
}

TEST(GuestNoticeTest, AnEmptyStatusTakesTheOldOneBack) {
  GuestNotice notice;
  notice.Take("STATUS=busy");
  EXPECT_TRUE(notice.Take("STATUS="));
  EXPECT_EQ(notice.Describe(), "");
}

TEST(GuestNoticeTest, WhateverTheGuestSendsIsShortAndPrintable) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  GuestNotice notice;
  for (const char* name : {"STATUS=", "ERRNO=", "EXIT_STATUS=", "X_SYSTEMD_UNIT_ACTIVE=", "X_SYSTEMD_UNIT_INACTIVE=",
                           "X_SYSTEMD_SHUTDOWN="}) {
    notice.Take(name + all + std::string(4000, '\x1b'));
  }
  const std::string text = notice.Describe();
  EXPECT_THAT(text, HasSubstr("status"));
  EXPECT_LE(text.size(), GuestNotice::kMaxTextBytes);
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) << text;
}

}  // namespace
}  // namespace kinsock
