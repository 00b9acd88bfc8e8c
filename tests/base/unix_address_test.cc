// SPDX-License-Identifier: Apache-2.0
#include "base/unix_address.h"

#include <gtest/gtest.h>

#include <string>

namespace kinsock {
namespace {

TEST(UnixAddressTest, HasAPathOf107BytesWholeAndNoLongerOne) {
  const std::string longest = "/" + std::string(106, 'x');
  const std::optional<sockaddr_un> address = UnixAddress(longest);
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->sun_family, AF_UNIX);
  EXPECT_EQ(std::string(address->sun_path), longest);  // with its end
  EXPECT_FALSE(UnixAddress(longest + "x").has_value());
}

}  // namespace
}  // namespace kinsock
