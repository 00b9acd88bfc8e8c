// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kinsock::guest {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kSeed = 7;

Bytes Piece(uint64_t offset, size_t bytes, uint32_t seed = kSeed) {
  Bytes piece(bytes);
  FillPattern(seed, offset, piece);
  return piece;
}

// What a receiver says that got these pieces, one after the other.
std::string VerdictOn(const std::vector<Bytes>& pieces, uint64_t expected_bytes) {
  PatternChecker checker(kSeed);
  for (const Bytes& piece : pieces) checker.Feed(piece);
  return checker.Verdict(expected_bytes);
}

TEST(PatternTest, AnyPieceIsTheSameWhereverItsFillStarts) {
  const Bytes whole = Piece(0, 200);
  for (size_t start = 0; start < 40; ++start) {
    const Bytes piece = Piece(start, 100);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<ptrdiff_t>(start))) << start;
  }
}

TEST(PatternTest, TheWholeStreamIsExactHoweverItIsCut) {
  for (const size_t cut : {1, 3, 7, 8, 9, 64, 999}) {
    PatternChecker checker(kSeed);
    for (uint64_t offset = 0; offset < 10'000; offset += cut) {
      checker.Feed(Piece(offset, std::min<uint64_t>(cut, 10'000 - offset)));
    }
    EXPECT_EQ(checker.Verdict(10'000), "exact") << cut;
  }
}

TEST(PatternTest, LossIsNamedWithItsPlaceAndLength) {
  EXPECT_EQ(VerdictOn({Piece(0, 4101), Piece(5000, 5000)}, 10'000),
            "lost 899 bytes at offset 4101; received 9101 of 10000 bytes");
}

TEST(PatternTest, RepetitionIsNotTakenForLoss) {
  EXPECT_EQ(VerdictOn({Piece(0, 5000), Piece(3000, 7000)}, 10'000),
            "repeated 2000 bytes at offset 3000; received 12000 of 10000 bytes");
}

TEST(PatternTest, ReorderingIsNotTakenForLoss) {
  EXPECT_EQ(VerdictOn({Piece(0, 1000), Piece(2000, 1000), Piece(1000, 1000), Piece(3000, 1000)}, 4000),
            "reordered 1000 bytes at offset 1000");
}

TEST(PatternTest, BytesOfAnotherStreamAreNamed) {
  EXPECT_EQ(VerdictOn({Piece(0, 1000), Piece(64, 1000, 9)}, 2000),
            "bytes of stream 9 (offset 64) came at offset 1000 of stream 7");
}

TEST(PatternTest, AFlippedBitIsCorruption) {
  Bytes stream = Piece(0, 1000);
  stream[500] ^= std::byte{1};
  EXPECT_EQ(VerdictOn({stream}, 1000), "1 corrupt bytes from offset 500");
}

TEST(PatternTest, AFlippedBitInTheLastByteIsCorruption) {
  Bytes stream = Piece(0, 1000);
  stream.back() ^= std::byte{1};
  EXPECT_EQ(VerdictOn({stream}, 1000), "1 corrupt bytes at offset 999");
}

TEST(PatternTest, AShortStreamIsNotExact) { EXPECT_EQ(VerdictOn({Piece(0, 999)}, 1000), "received 999 of 1000 bytes"); }

TEST(PatternTest, WhereAnyLengthWillDoABrokenOffStreamIsExact) {
  EXPECT_EQ(VerdictOn({Piece(0, 999)}, PatternChecker::kAnyLength), "exact");
  EXPECT_EQ(VerdictOn({Piece(0, 100), Piece(200, 799)}, PatternChecker::kAnyLength), "lost 100 bytes at offset 100");
}

TEST(PatternTest, ForeignBytesAreCorruption) {
  EXPECT_EQ(VerdictOn({Piece(0, 100), Bytes(5000)}, 5100), "corrupt bytes at offset 100");
}

}  // namespace
}  // namespace kinsock::guest
