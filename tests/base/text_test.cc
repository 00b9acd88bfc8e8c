// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

TEST(QuotedTest, ShowsWhatAClientSentWithoutHarm) {
  EXPECT_EQ(Quoted("web-1"), "\"web-1\"");
  EXPECT_EQ(Quoted("a\nb\"c"), "\"a\\nb\\\"c\"");
  EXPECT_EQ(Quoted("\x1b[31m"), "\"\\033[31m\"");
  EXPECT_EQ(Quoted("\xff"), "\"\\377\"");
  EXPECT_EQ(Quoted("grün"), "\"grün\"");
}

TEST(QuotedTest, CutsWhatIsLongBetweenCharacters) {
  EXPECT_EQ(Quoted(std::string(100, 'x')), "\"" + std::string(64, 'x') + "...\"");
  const std::string cut = Quoted(std::string(63, 'x') + "üü");
  EXPECT_EQ(cut, "\"" + std::string(63, 'x') + "...\"");
  EXPECT_TRUE(IsUtf8(cut));
}

TEST(DidYouMeanTest, NamesTheNearest) {
  EXPECT_EQ(DidYouMean("queue_sze", {"queue_size", "groups"}), " (did you mean \"queue_size\"?)");
  EXPECT_EQ(DidYouMean("grups", {"queue_size", "groups"}), " (did you mean \"groups\"?)");
  EXPECT_EQ(DidYouMean("colour", {"queue_size", "groups"}), "");
  EXPECT_EQ(DidYouMean(std::string(1'000'000, 'x'), {"queue_size"}), "");
}

}  // namespace
}  // namespace kinsock
