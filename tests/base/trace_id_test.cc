// SPDX-License-Identifier: Apache-2.0
#include "base/trace_id.h"

#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kGood = std::string("00-") + kTrace + "-00f067aa0ba902b7-01";

TEST(TraceIdTest, IsTakenOutOfATraceparent) {
  EXPECT_EQ(TraceId(kGood), kTrace);
  EXPECT_EQ(TraceId("cc" + kGood.substr(2)), kTrace) << "a later version";
  EXPECT_EQ(TraceId("cc" + kGood.substr(2) + "-what-the-future-says"), kTrace);
}

TEST(TraceIdTest, WhatIsNoTraceparentHasNone) {
  EXPECT_EQ(TraceId(""), "");
  for (size_t length = 0; length < kGood.size(); ++length) EXPECT_EQ(TraceId(kGood.substr(0, length)), "") << length;
  for (size_t at = 0; at < kGood.size(); ++at) {
    for (const char bad : {'g', 'A', '_', '\0', '\xff'}) {
      std::string spoiled = kGood;
      spoiled[at] = bad;
      EXPECT_EQ(TraceId(spoiled), "") << "at " << at;
    }
  }
  EXPECT_EQ(TraceId("ff" + kGood.substr(2)), "");
  EXPECT_EQ(TraceId(kGood + "-more"), "") << "version 00 says no more";
  EXPECT_EQ(TraceId("cc" + kGood.substr(2) + "more"), "");
  EXPECT_EQ(TraceId("00-" + std::string(32, '0') + "-00f067aa0ba902b7-01"), "");
  EXPECT_EQ(TraceId(std::string("00-") + kTrace + "-" + std::string(16, '0') + "-01"), "");
}

}  // namespace
}  // namespace kinsock
