// SPDX-License-Identifier: Apache-2.0
#include "server/model/quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ResolveLimitsTest, NobodySaysAnything) {
  const Quota nothing;
  const DeviceLimits limits = ResolveLimits({&nothing, &nothing});
  EXPECT_EQ(limits.max_connections, DeviceLimits().max_connections);
  EXPECT_EQ(limits.max_pending_connections, DeviceLimits().max_pending_connections);
  EXPECT_EQ(limits.max_buffered_bytes, DeviceLimits().max_buffered_bytes);
  EXPECT_EQ(limits.connects, Rate());
  EXPECT_EQ(limits.bytes_to_guest, Rate());
}

TEST(ResolveLimitsTest, TheSmallestOfEachHolds) {
  Quota vm, network, daemon;
  vm.max_connections = 100;
  daemon.max_connections = 50;
  network.max_buffer_bytes = 1 << 20;
  vm.max_pending_connections = 10;
  daemon.max_pending_connections = 20;
  vm.bytes_to_guest = {1'000'000, 0};
  daemon.bytes_to_guest = {500'000, 20'000};
  network.packets_from_guest = {10, 0};
  const DeviceLimits limits = ResolveLimits({&vm, &network, &daemon});
  EXPECT_EQ(limits.max_connections, 50u);
  EXPECT_EQ(limits.max_buffered_bytes, 1u << 20);
  EXPECT_EQ(limits.max_pending_connections, 10u);
  EXPECT_EQ(limits.bytes_to_guest, (Rate{500'000, 20'000}));
  EXPECT_EQ(limits.packets_from_guest, (Rate{10, 10})) << "a burst that is not said is as much as the rate";
}

TEST(ResolveLimitsTest, OfEqualRatesTheSmallerBurstHolds) {
  Quota one, other;
  one.connects_per_second = {10, 100};
  other.connects_per_second = {10, 5};
  EXPECT_EQ(ResolveLimits({&one, &other}).connects, (Rate{10, 5}));
  EXPECT_EQ(ResolveLimits({&other, &one}).connects, (Rate{10, 5}));
}

TEST(MergeQuotaTest, OnlyWhatIsNamedChanges) {
  Quota current, said;
  current.max_connections = 1;
  current.bytes_to_guest = {100'000, 0};
  said.max_connections = 2;
  said.connects_per_second = {5, 0};
  QuotaMask mask;
  mask.set(3);  // connects_per_second
  mask.set(4);  // bytes_to_guest
  const Quota merged = Merge(current, said, mask);
  EXPECT_EQ(merged.max_connections, 1u);
  EXPECT_EQ(merged.connects_per_second, (Rate{5, 0}));
  EXPECT_EQ(merged.bytes_to_guest, Rate());
  EXPECT_EQ(Merge(current, said, AllQuotaFields()), said);
}

TEST(CheckQuotaTest, NamesEachFieldThatIsBad) {
  struct Case {
    std::function<void(Quota&)> spoil;
    const char* field;
    const char* says;
  };
  const std::vector<Case> cases = {
      {[](Quota& q) { q.max_connections = 65537; }, "q.max_connections", "from 1 to 65536"},
      {[](Quota& q) { q.max_pending_connections = 4097; }, "q.max_pending_connections", "from 1 to 4096"},
      {[](Quota& q) { q.max_buffer_bytes = 65535; }, "q.max_buffer_bytes", "from 65536"},
      {[](Quota& q) { q.max_buffer_bytes = (64u << 20) + 1; }, "q.max_buffer_bytes", "to 67108864"},
      {[](Quota& q) {
         q.bytes_to_guest = {65535, 0};
       },
       "q.bytes_to_guest.rate", "from 65536"},
      {[](Quota& q) {
         q.bytes_from_guest = {Rate::kMax + 1, 0};
       },
       "q.bytes_from_guest.rate", "to 1000000000000"},
      {[](Quota& q) {
         q.bytes_from_guest = {1'000'000, 9'999};
       },
       "q.bytes_from_guest.burst", "from 10000"},
      {[](Quota& q) {
         q.packets_from_guest = {0, 5};
       },
       "q.packets_from_guest.burst", "without a rate"},
      {[](Quota& q) {
         q.connects_per_second = {1, UINT64_MAX};
       },
       "q.connects_per_second.burst", "from 1 to"},
  };
  for (const Case& bad : cases) {
    Quota quota;
    bad.spoil(quota);
    std::vector<FieldViolation> violations;
    CheckQuota(quota, "q", violations);
    ASSERT_EQ(violations.size(), 1u) << bad.field;
    EXPECT_EQ(violations[0].field, bad.field);
    EXPECT_THAT(violations[0].description, HasSubstr(bad.says));
  }
}

TEST(CheckQuotaTest, TakesTheSmallestAndTheLargest) {
  Quota quota{1, 1, kMinBufferBytes, {1, 1}, {kMinByteRate, kMinByteRate / kMinBurstDivisor}, {}, {1, 0}};
  std::vector<FieldViolation> violations;
  CheckQuota(quota, "q", violations);
  quota = {65536,
           4096,
           64u << 20,
           {Rate::kMax, Rate::kMax},
           {Rate::kMax, 0},
           {Rate::kMax, Rate::kMax},
           {Rate::kMax, Rate::kMax / kMinBurstDivisor}};
  CheckQuota(quota, "q", violations);
  EXPECT_THAT(violations, IsEmpty());
}

}  // namespace
}  // namespace kinsock
