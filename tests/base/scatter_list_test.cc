// SPDX-License-Identifier: Apache-2.0
#include "base/scatter_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kinsock {
namespace {

// A list over `text`, cut into pieces of the given sizes.
ScatterList Cut(std::string& text, const std::vector<size_t>& sizes) {
  ScatterList list;
  size_t offset = 0;
  for (const size_t size : sizes) {
    list.Append(text.data() + offset, size);
    offset += size;
  }
  return list;
}

std::string Contents(const ScatterList& list) {
  std::string out(list.size(), '?');
  EXPECT_EQ(list.CopyOut(0, out.data(), out.size()), out.size());
  return out;
}

TEST(ScatterListTest, EmptyPiecesAreNotKept) {
  std::string text = "abc";
  const ScatterList list = Cut(text, {0, 3, 0});
  EXPECT_EQ(list.segments().size(), 1u);
  EXPECT_EQ(list.size(), 3u);
}

TEST(ScatterListTest, ReadsAcrossPieces) {
  std::string text = "abcdefghij";
  const ScatterList list = Cut(text, {1, 4, 5});
  std::string out(6, '?');
  EXPECT_EQ(list.CopyOut(3, out.data(), 6), 6u);
  EXPECT_EQ(out, "defghi");
  EXPECT_EQ(list.CopyOut(8, out.data(), 6), 2u);
  EXPECT_EQ(list.CopyOut(10, out.data(), 6), 0u);
}

TEST(ScatterListTest, WritesAcrossPieces) {
  std::string text(10, '.');
  ScatterList list = Cut(text, {3, 3, 4});
  EXPECT_EQ(list.CopyIn(2, "12345", 5), 5u);
  EXPECT_EQ(text, "..12345...");
  EXPECT_EQ(list.CopyIn(8, "12345", 5), 2u);
}

TEST(ScatterListTest, EveryCutFromTheFrontLeavesTheRest) {
  std::string text = "abcdefghij";
  for (size_t n = 0; n <= text.size(); ++n) {
    ScatterList list = Cut(text, {2, 1, 3, 4});
    list.RemovePrefix(n);
    EXPECT_EQ(Contents(list), text.substr(n)) << n;
  }
}

TEST(ScatterListTest, EveryCutFromTheEndLeavesTheFront) {
  std::string text = "abcdefghij";
  for (size_t n = 0; n <= text.size(); ++n) {
    ScatterList list = Cut(text, {2, 1, 3, 4});
    list.Truncate(n);
    EXPECT_EQ(Contents(list), text.substr(0, n)) << n;
  }
}

TEST(ScatterListTest, CopiesBetweenListsOfDifferentCuts) {
  std::string from = "abcdefghij";
  const ScatterList source = Cut(from, {3, 3, 4});
  for (size_t piece = 1; piece <= 10; ++piece) {
    std::string to(12, '.');
    std::vector<size_t> sizes(12 / piece, piece);
    sizes.push_back(12 % piece);
    ScatterList target = Cut(to, sizes);
    CopyBytes(source, 1, target, 2, 9);
    EXPECT_EQ(to, "..bcdefghij.") << piece;
  }
}

}  // namespace
}  // namespace kinsock
