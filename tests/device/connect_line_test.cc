// SPDX-License-Identifier: Apache-2.0
#include "device/connect_line.h"

#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

using Status = ConnectLine::Status;

TEST(ConnectLineTest, AnyCaseIsUnderstood) {
  for (const char* text : {"CONNECT 1024\n", "connect 1024\n", "ConNecT 1024\n", "CONNECT 1024\r\n"}) {
    const ConnectLine line = ConnectLine::Parse(text);
    EXPECT_EQ(line.status, Status::kComplete) << text;
    EXPECT_EQ(line.port, 1024u) << text;
    EXPECT_EQ(line.bytes, std::string(text).size()) << text;
  }
}

TEST(ConnectLineTest, WhatFollowsIsNotPartOfTheLine) {
  const ConnectLine line = ConnectLine::Parse("CONNECT 1\nDATA\n");
  EXPECT_EQ(line.status, Status::kComplete);
  EXPECT_EQ(line.bytes, 10u);
}

TEST(ConnectLineTest, EveryPrefixMayStillBecomeALine) {
  const std::string text = "CONNECT 4294967294\n";
  for (size_t n = 0; n < text.size(); ++n) {
    EXPECT_EQ(ConnectLine::Parse(text.substr(0, n)).status, Status::kIncomplete) << n;
  }
  EXPECT_EQ(ConnectLine::Parse(text).port, 4294967294u);
}

TEST(ConnectLineTest, NonsenseIsRefusedAtOnce) {
  for (const char* text :
       {"X", "CONNEXT", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT -1\n", "CONNECT +1\n", "CONNECT 1 \n",
        "CONNECT  1\n", "CONNECT 4294967295\n", "CONNECT 4294967296\n", "CONNECT 0x10\n", "\n", "GET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(ConnectLine::Parse(text).status, Status::kInvalid) << text;
  }
  EXPECT_EQ(ConnectLine::Parse(absl::string_view("CONNECT 1\0\n", 11)).status, Status::kInvalid);
}

TEST(ConnectLineTest, LeadingZeroesAreANumber) { EXPECT_EQ(ConnectLine::Parse("CONNECT 0080\n").port, 80u); }

TEST(ConnectLineTest, ALineIsBounded) {
  const std::string zeroes(ConnectLine::kMaxBytes - 9, '0');
  EXPECT_EQ(ConnectLine::Parse("CONNECT " + zeroes + "\n").status, Status::kComplete);
  EXPECT_EQ(ConnectLine::Parse("CONNECT 0" + zeroes + "\n").status, Status::kInvalid);
  EXPECT_EQ(ConnectLine::Parse("CONNECT " + std::string(1000, '0')).status, Status::kInvalid);
}

}  // namespace
}  // namespace kinsock
