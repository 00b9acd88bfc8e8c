// SPDX-License-Identifier: Apache-2.0
//
// What the instrument itself could get wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <vector>

#include "bench/bench_guest.h"
#include "bench/probe.h"
#include "bench/verify.h"
#include "tests/e2e/guest/pattern.h"

namespace kinsock::bench {
namespace {

using ::testing::HasSubstr;

TEST(Quantile, IsTheNearestRank) {
  std::vector<double> samples = {40, 10, 30, 20};
  EXPECT_EQ(Quantile(samples, 0), 10);
  EXPECT_EQ(Quantile(samples, 0.5), 20);
  EXPECT_EQ(Quantile(samples, 0.51), 30);
  EXPECT_EQ(Quantile(samples, 0.99), 40);
  EXPECT_EQ(Quantile(samples, 1), 40);
}

TEST(Quantile, OfThousandAndOfNone) {
  std::vector<double> samples;
  EXPECT_EQ(Quantile(samples, 0.5), 0);
  for (int i = 1000; i > 0; --i) samples.push_back(i);
  EXPECT_EQ(Quantile(samples, 0.99), 990);
  EXPECT_EQ(Quantile(samples, 0.999), 999);
}

// A stream of a connection, and what a receiver says of it after something happened to it on the way.
class Streams : public ::testing::Test {
 protected:
  static constexpr size_t kPacket = 65536;

  Streams() : bytes_(4 * kPacket) { guest::FillPattern(seed_, 0, bytes_); }

  std::string Verdict() {
    guest::PatternChecker checker(seed_);
    checker.Feed(bytes_);
    return checker.Verdict(4 * kPacket);
  }

  const uint32_t seed_ = StreamSeed(3, 1024, 5000);
  std::vector<std::byte> bytes_;
};

TEST_F(Streams, WholeIsExact) { EXPECT_EQ(Verdict(), "exact"); }

TEST_F(Streams, AFlippedBitIsSeen) {
  bytes_[kPacket + 17] ^= std::byte{1};
  EXPECT_THAT(Verdict(), HasSubstr("corrupt"));
}

TEST_F(Streams, ALostByteIsSeen) {
  bytes_.erase(bytes_.begin() + 1000);
  EXPECT_THAT(Verdict(), HasSubstr("lost 1 bytes"));
}

// A period of the pattern would hide it.
TEST_F(Streams, ALostPacketIsSeen) {
  bytes_.erase(bytes_.begin() + kPacket, bytes_.begin() + 2 * kPacket);
  EXPECT_THAT(Verdict(), HasSubstr("lost 65536 bytes"));
}

TEST_F(Streams, ARepeatedPacketIsSeen) {
  const std::vector<std::byte> again(bytes_.begin(), bytes_.begin() + kPacket);
  bytes_.insert(bytes_.begin() + kPacket, again.begin(), again.end());
  EXPECT_THAT(Verdict(), HasSubstr("repeated 65536 bytes"));
}

TEST_F(Streams, AMissingEndIsSeen) {
  bytes_.resize(bytes_.size() - 1);
  EXPECT_THAT(Verdict(), HasSubstr("received 262143 of 262144 bytes"));
}

TEST_F(Streams, AnotherConnectionsBytesAreSeen) {
  guest::FillPattern(StreamSeed(3, 1025, 5000), kPacket, std::span(bytes_).subspan(kPacket, kPacket));
  EXPECT_NE(Verdict(), "exact");
}

TEST(StreamSeed, TellsConnectionsApartButNotTheHostsPorts) {
  EXPECT_NE(StreamSeed(3, 1024, 5000), StreamSeed(3, 1025, 5000));
  EXPECT_NE(StreamSeed(3, 1024, 5000), StreamSeed(4, 1024, 5000));
  EXPECT_NE(StreamSeed(3, 1024, 5000), StreamSeed(3, 1024, 5001));
  EXPECT_EQ(StreamSeed(2, 49152, 5000), StreamSeed(2, 7, 5000));
}

TEST(Verification, CountsWrongStreams) {
  Verification verification;
  verification.Add(1 << 20, "exact");
  verification.Add(1 << 20, "lost 1 bytes at offset 7");
  const Figures figures = verification.figures();
  EXPECT_EQ(figures[0].name, "verified_mib");
  EXPECT_EQ(figures[0].value, 2);
  EXPECT_EQ(figures[1].name, "wrong_streams");
  EXPECT_EQ(figures[1].value, 1);
}

}  // namespace
}  // namespace kinsock::bench
