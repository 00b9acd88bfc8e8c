// SPDX-License-Identifier: Apache-2.0
#include "server/model/resource_version.h"

#include <gtest/gtest.h>

#include <string>

#include "server/convert/paging.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

TEST(ResourceVersionTest, ComesBackAsItWasSent) {
  const ResourceVersion version{"1a2b", 77};
  EXPECT_EQ(version.ToString(), "1a2b.77");
  EXPECT_EQ(*ResourceVersion::Parse("1a2b.77"), version);
}

TEST(ResourceVersionTest, RefusesWhatWasNeverSent) {
  for (const char* text : {"", ".", "a.", ".1", "a.-1", "a. 1", "a.1x", "a.99999999999999999999", "a"}) {
    EXPECT_FALSE(ResourceVersion::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(ResourceVersion::Parse(std::string(100'000, '1')).has_value());
}

TEST(PageTokenTest, ComesBackAsItWasSent) {
  const PageToken token{{"1a2b", 77}, "web-1"};
  const std::optional<PageToken> parsed = PageToken::Parse(token.ToString());
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->version, token.version);
  EXPECT_EQ(parsed->after, "web-1");
}

TEST(PageTokenTest, RefusesWhatWasNeverSent) {
  for (const char* text : {"", "x", "!!!", "AAAA", "MWEyYi43Nw"}) {
    EXPECT_FALSE(PageToken::Parse(text).has_value()) << text;
  }
}

TEST(PagingTest, SizesHaveADefaultAndAnEnd) {
  EXPECT_EQ(ParsePage(0, "")->size, 100u);
  EXPECT_EQ(ParsePage(7, "")->size, 7u);
  EXPECT_EQ(ParsePage(2'000'000'000, "")->size, 1000u);
  EXPECT_FALSE(ParsePage(0, "")->token.has_value());
}

TEST(PagingTest, SaysAllThatIsWrong) {
  const absl::Status refused = ParsePage(-1, "no token").status();
  ASSERT_EQ(ErrorFields(refused).size(), 2u);
  EXPECT_EQ(ErrorFields(refused)[0].field, "page_size");
  EXPECT_EQ(ErrorFields(refused)[1].field, "page_token");
}

}  // namespace
}  // namespace kinsock
