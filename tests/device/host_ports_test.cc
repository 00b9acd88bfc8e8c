// SPDX-License-Identifier: Apache-2.0
#include "device/host_ports.h"

#include <gtest/gtest.h>

#include <set>

namespace kinsock {
namespace {

TEST(HostPortsTest, FiveDigitsComeFirstThenTheLongOnes) {
  HostPorts ports;
  std::set<uint32_t> taken;
  for (uint32_t i = HostPorts::kFirstShort; i <= HostPorts::kLastShort; ++i) {
    const uint32_t port = ports.Take();
    EXPECT_GE(port, HostPorts::kFirstShort);
    EXPECT_LE(port, HostPorts::kLastShort);
    EXPECT_TRUE(taken.insert(port).second) << port;
  }
  EXPECT_EQ(ports.Take(), HostPorts::kFirstLong);
  EXPECT_EQ(ports.Take(), HostPorts::kFirstLong + 1);
}

TEST(HostPortsTest, AReleasedPortRestsForAsLongAsPossible) {
  HostPorts ports;
  const uint32_t first = ports.Take();
  ports.Release(first);
  for (uint32_t i = HostPorts::kFirstShort; i < HostPorts::kLastShort; ++i) EXPECT_NE(ports.Take(), first);
  EXPECT_EQ(ports.Take(), first);
}

TEST(HostPortsTest, AWantedPortIsTakenOnce) {
  HostPorts ports;
  EXPECT_TRUE(ports.TakeThis(1025));
  EXPECT_FALSE(ports.TakeThis(1025));
  EXPECT_TRUE(ports.TakeThis(HostPorts::kFirstShort));
  for (uint32_t i = HostPorts::kFirstShort; i < HostPorts::kLastShort; ++i)
    EXPECT_LE(ports.Take(), HostPorts::kLastShort);
  EXPECT_EQ(ports.Take(), HostPorts::kFirstLong);
  ports.Release(1025);
  EXPECT_TRUE(ports.TakeThis(1025));
}

TEST(HostPortsTest, ReleasingAStrangerIsHarmless) {
  HostPorts ports;
  ports.Release(50000);
  const uint32_t port = ports.Take();
  ports.Release(port);
  ports.Release(port);
  for (int i = 0; i < 20000; ++i) ports.Take();
}

}  // namespace
}  // namespace kinsock
