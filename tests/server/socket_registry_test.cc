// SPDX-License-Identifier: Apache-2.0
#include "server/socket_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/error.h"

namespace kinsock {
namespace {

class SocketRegistryTest : public ::testing::Test {
 protected:
  SocketRegistryTest() {
    registry_.Take("/run/a.uds", true, "vms/a");
    registry_.Take("/run/a.sock", false, "vms/a");
    registry_.Take("/run/b_80", false, "vms/b");
  }

  std::string Answer(const std::string& path, bool hybrid) { return ErrorReason(registry_.CheckFree(path, hybrid)); }

  SocketRegistry registry_;
};

TEST_F(SocketRegistryTest, APathHasOneOwner) {
  EXPECT_EQ(Answer("/run/a.sock", false), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/a.uds", false), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/c.sock", false), "");
  registry_.Release("/run/a.sock");
  EXPECT_EQ(Answer("/run/a.sock", false), "");
}

TEST_F(SocketRegistryTest, NoSocketIsMadeWhereAGuestWouldReachIt) {
  EXPECT_EQ(Answer("/run/a.uds_80", false), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/a.uds_4294967295", true), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/a.uds_", false), "");
  EXPECT_EQ(Answer("/run/a.uds_x", false), "");
  EXPECT_EQ(Answer("/run/a.sock_80", false), "") << "nobody calls the host from there";
}

TEST_F(SocketRegistryTest, NoGuestIsGivenAPathFromWhichItWouldReachOne) {
  EXPECT_EQ(Answer("/run/b", true), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/b", false), "");
  EXPECT_THAT(std::string(registry_.CheckFree("/run/b", true).message()), ::testing::HasSubstr("vms/b"));
}

}  // namespace
}  // namespace kinsock
