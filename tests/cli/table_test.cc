// SPDX-License-Identifier: Apache-2.0
//
// How tables look in pipes and on terminals: table, tint, text_width.
#include "cli/text/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/text/text_width.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Options Terminal(size_t columns, bool colour = false) {
  Options options;
  options.columns = columns;
  options.colour = colour;
  return options;
}

TEST(TextWidthTest, CountsWhatATerminalShows) {
  EXPECT_EQ(TextWidth(""), 0u);
  EXPECT_EQ(TextWidth("größe"), 5u);
  EXPECT_EQ(TextWidth("名前"), 4u) << "two columns for each";
  EXPECT_EQ(TextWidth("e\u0301"), 1u) << "the accent stands above the letter";
  EXPECT_EQ(TextWidth("🦊"), 2u);
}

TEST(TextWidthTest, CutsBetweenCharacters) {
  EXPECT_EQ(CutText("kinsock", 7), "kinsock");
  EXPECT_EQ(CutText("kinsock", 6), "kinso…");
  EXPECT_EQ(CutText("größe", 4), "grö…");
  EXPECT_EQ(CutText("名前名前", 6), "名前…") << "half a character is not shown";
  EXPECT_EQ(CutText("kinsock", 1), "…");
  EXPECT_EQ(CutText("kinsock", 0), "");
}

TEST(TextWidthTest, WhatATerminalWouldObeyIsShown) {
  const struct {
    const char* name;
    std::string text;
    const char* shown;
  } kCases[] = {
      {"a line break", "a\nb", "a\\x0ab"},
      {"a red word", "\033[31mred", "\\x1b[31mred"},
      {"C1 control characters", "a\u009bb", "a\\xc2\\x9bb"},
      {"bytes that are no UTF-8", "a\xff\xc3", "a\\xff\\xc3"},
      {"another direction of writing", "a\u202eb", "a\\xe2\\x80\\xaeb"},
      {"NUL", std::string("a\0b", 3), "a\\x00b"},
      {"what is harmless", "größe 名前", "größe 名前"},
  };
  for (const auto& a_case : kCases) EXPECT_EQ(CleanText(a_case.text), a_case.shown) << a_case.name;
}

TEST(TableTest, ColumnsAreAlignedAndEmptyCellsCanBeCounted) {
  Table table({"NAME", "CID"});
  table.Add({"größe", "3"});
  table.Add({"", "42"});
  table.Add({"名前", "5"});
  EXPECT_EQ(table.Render(true), "NAME   CID\ngröße  3\n-      42\n名前   5\n");
  EXPECT_EQ(table.Render(false), "größe  3\n-      42\n名前   5\n");
}

TEST(TableTest, ACellCannotMakeARowOrMoveTheCursor) {
  Table table({"NAME", "CID"});
  table.Add({"a\nb\033[2J", "3"});
  EXPECT_EQ(table.Render(false), "a\\x0ab\\x1b[2J  3\n");
}

TEST(TableTest, ANarrowTerminalCutsTheWidestColumns) {
  Table table({"NAME", "STATE", "SOCKET"});
  table.Add({"web", "ACTIVE", "/run/kinsock/vms/web/vhost.sock"});
  EXPECT_EQ(table.Render(Terminal(30)), "NAME  STATE   SOCKET\nweb   ACTIVE  /run/kinsock/vm…\n");
  EXPECT_EQ(table.Render(Terminal(44)), "NAME  STATE   SOCKET\nweb   ACTIVE  /run/kinsock/vms/web/vhost.so…\n");
  EXPECT_EQ(table.Render(Terminal(45)), table.Render(true)) << "it fits";
  EXPECT_EQ(table.Render(Terminal(0)), table.Render(true)) << "a pipe takes everything";
  Options wide = Terminal(30);
  wide.format = OutputFormat::kWide;
  EXPECT_EQ(table.Render(wide), table.Render(true)) << "everything was asked for";
}

TEST(TableTest, ATerminalThatIsTooNarrowForAnyOfItGetsLinesThatFit) {
  Table table({"NAME", "STATE", "CID", "GROUPS", "READY", "AGE"});
  table.Add({"a-name-of-a-vm", "LISTENING", "1073741824", "default", "yes", "4d"});
  for (size_t columns = 1; columns < 60; ++columns) {
    const std::string text = table.Render(Terminal(columns));
    size_t begin = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
      EXPECT_LE(TextWidth(text.substr(begin, end - begin)), columns) << text;
    }
  }
  EXPECT_EQ(table.Render(Terminal(24)), "NAME      STATE     CID…\na-name-…  LISTENI…  107…\n");
}

TEST(TableTest, ColoursSayWhatIsGoodAndWhatIsBad) {
  Table table({"NAME", "STATE", "DENIED"});
  table.Add({"ACTIVE", "ACTIVE", "0"});
  table.Add({"b", "FAILED", "7"});
  table.Add({"c", "ACTIVE", "0"});
  table.SetTint(1, Tint::kNotice);
  EXPECT_EQ(
      table.Render(Terminal(0, true)),
      "NAME    STATE   DENIED\nACTIVE  \033[32mACTIVE\033[0m  0\nb       \033[31mFAILED\033[0m  \033[31m7\033[0m\n"
      "c       \033[33mACTIVE\033[0m  0\n");
  EXPECT_THAT(table.Render(Terminal(0)), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace kinsock
