// SPDX-License-Identifier: Apache-2.0
#include "server/host/socket_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/status/error.h"

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

TEST_F(SocketRegistryTest, APortOfTheHostHasOneOwner) {
  registry_.TakePort(9001, "vms/a");
  const absl::Status busy = registry_.CheckPortFree(9001);
  EXPECT_EQ(ErrorReason(busy), "VSOCK_PORT_BUSY");
  EXPECT_EQ(busy.message(), "vm.spec.vsock_proxy.listen_ports: AF_VSOCK port 9001 belongs to vms/a; choose another");
  EXPECT_TRUE(registry_.CheckPortFree(9002).ok());
  registry_.ReleasePort(9001);
  EXPECT_TRUE(registry_.CheckPortFree(9001).ok());
}

TEST_F(SocketRegistryTest, ReactorsSeeWhichPortsAreTaken) {
  const std::shared_ptr<const ForwardPorts> seen = registry_.ports();
  registry_.TakePort(9001, "vms/a");
  EXPECT_TRUE(seen->Contains(9001));
  EXPECT_FALSE(seen->Contains(9002));
  registry_.ReleasePort(9001);
  EXPECT_FALSE(seen->Contains(9001));
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

TEST_F(SocketRegistryTest, NoTargetIsASocketOfOurs) {
  EXPECT_EQ(ErrorReason(registry_.CheckTarget("/run/a.sock")), "SOCKET_PATH_BUSY");
  EXPECT_EQ(ErrorReason(registry_.CheckTarget("/run/a.uds")), "SOCKET_PATH_BUSY");
  EXPECT_EQ(ErrorReason(registry_.CheckTarget("/run/a.uds_80")), "SOCKET_PATH_BUSY");
  EXPECT_TRUE(registry_.CheckTarget("/run/syslog").ok());
}

TEST_F(SocketRegistryTest, WhereGuestsAreLedNothingIsMadeUntilNoneIs) {
  registry_.TakeTarget("/run/log", "forwards/a");
  registry_.TakeTarget("/run/log", "forwards/b");
  registry_.TakeTarget("/run/d_80", "forwards/c");
  EXPECT_TRUE(registry_.CheckTarget("/run/log").ok()) << "several may lead there";
  EXPECT_EQ(Answer("/run/log", false), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/log", true), "SOCKET_PATH_BUSY");
  EXPECT_EQ(Answer("/run/d", true), "SOCKET_PATH_BUSY") << "its guest would reach what the forward leads to";
  EXPECT_EQ(Answer("/run/d", false), "");
  registry_.ReleaseTarget("/run/log", "forwards/a");
  EXPECT_EQ(Answer("/run/log", false), "SOCKET_PATH_BUSY");
  registry_.ReleaseTarget("/run/log", "forwards/b");
  EXPECT_EQ(Answer("/run/log", false), "");
}

TEST_F(SocketRegistryTest, AnAddressOfTcpHasOneOwnerAndAllAddressesAreEach) {
  registry_.Take("tcp:127.0.0.1:80", false, "forwards/a");
  registry_.Take("tcp:*:7443", false, "the API");
  EXPECT_EQ(Answer("tcp:127.0.0.1:80", false), "TCP_PORT_BUSY");
  EXPECT_EQ(Answer("tcp:[::1]:80", false), "");
  EXPECT_EQ(Answer("tcp:[::1]:7443", false), "TCP_PORT_BUSY");
  EXPECT_EQ(ErrorReason(registry_.CheckTarget("tcp:127.0.0.1:7443")), "TCP_PORT_BUSY");
}

}  // namespace
}  // namespace kinsock
