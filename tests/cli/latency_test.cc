// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/latency.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace kinsock {
namespace {

using std::chrono::nanoseconds;

TEST(LatencyTest, NothingTookNoTime) {
  const Latency latency;
  EXPECT_EQ(latency.Quantile(0.5), nanoseconds(0));
  EXPECT_EQ(latency.count(), 0u);
}

TEST(LatencyTest, QuantilesAreAtMostThreePercentAboveWhatWas) {
  Latency latency;
  for (int i = 1; i <= 100'000; ++i) latency.Add(nanoseconds(i * 10));
  for (const double part : {0.001, 0.5, 0.99, 0.999}) {
    const double was = part * 1'000'000, said = static_cast<double>(latency.Quantile(part).count());
    EXPECT_GE(said, was) << part;
    EXPECT_LE(said, was * 1.032) << part;
  }
  EXPECT_EQ(latency.Quantile(1), nanoseconds(1'000'000));
  EXPECT_EQ(latency.longest(), nanoseconds(1'000'000));
}

TEST(LatencyTest, AnyTimeHasItsPlace) {
  for (int64_t time : {int64_t{-5}, int64_t{0}, int64_t{1}, int64_t{31}, int64_t{32}, int64_t{63}, int64_t{64},
                       INT64_MAX - 1, INT64_MAX}) {
    Latency latency;
    latency.Add(nanoseconds(time));
    EXPECT_EQ(latency.Quantile(0.5), nanoseconds(time < 0 ? 0 : time));
  }
}

}  // namespace
}  // namespace kinsock
