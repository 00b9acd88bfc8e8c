// SPDX-License-Identifier: Apache-2.0
#include "base/duration_histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <thread>
#include <vector>

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::array<nanoseconds, 2> kBounds{milliseconds(1), milliseconds(10)};

TEST(DurationHistogramTest, EachIsInTheFirstClassThatItFits) {
  DurationHistogram<Counter, kBounds> histogram;
  for (const auto took : {nanoseconds(0), nanoseconds(milliseconds(1)), milliseconds(1) + nanoseconds(1),
                          nanoseconds(milliseconds(10)), nanoseconds(std::chrono::hours(30))}) {
    histogram.Add(took);
  }
  const DurationCounts read = histogram.Read();
  EXPECT_THAT(read.counts, ElementsAre(2, 2, 1));
  EXPECT_EQ(read.total(), 5u);
  EXPECT_EQ(read.sum, std::chrono::hours(30) + milliseconds(12) + nanoseconds(1));
  EXPECT_THAT(std::vector<nanoseconds>(read.bounds.begin(), read.bounds.end()),
              ElementsAre(milliseconds(1), milliseconds(10)));
}

TEST(DurationHistogramTest, AClockThatWentBackTakesNothingAway) {
  DurationHistogram<Counter, kBounds> histogram;
  histogram.Add(milliseconds(2));
  histogram.Add(milliseconds(-5));
  EXPECT_THAT(histogram.Read().counts, ElementsAre(1, 1, 0));
  EXPECT_EQ(histogram.Read().sum, milliseconds(2));
}

TEST(DurationHistogramTest, SeveralAreAddedUp) {
  DurationHistogram<Counter, kBounds> one, two;
  one.Add(milliseconds(5));
  two.Add(milliseconds(5));
  two.Add(milliseconds(50));
  DurationCounts all;
  EXPECT_THAT(all.counts, IsEmpty());
  all += DurationCounts();
  all += one.Read();
  all += two.Read();
  EXPECT_THAT(all.counts, ElementsAre(0, 2, 1));
  EXPECT_EQ(all.sum, milliseconds(60));
}

TEST(DurationHistogramTest, ThreadsThatShareOneLoseNothing) {
  DurationHistogram<SharedCounter, kBounds> histogram;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10'000; ++k) histogram.Add(milliseconds(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(histogram.Read().counts, ElementsAre(40'000, 0, 0));
  EXPECT_EQ(histogram.Read().sum, std::chrono::seconds(40));
}

}  // namespace
}  // namespace kinsock
