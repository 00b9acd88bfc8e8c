// SPDX-License-Identifier: Apache-2.0
#include "device/host_endpoint.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using Status = HostConnection::Status;
using testing::ListenAt;
using testing::TempDir;

HostEndpoint Tcp(uint16_t port) {
  HostEndpoint endpoint{.kind = HostEndpoint::Kind::kTcp, .address_bytes = sizeof(sockaddr_in)};
  auto& v4 = reinterpret_cast<sockaddr_in&>(endpoint.address);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(port);
  return endpoint;
}

TEST(HostEndpointTest, APathIsReached) {
  TempDir dir;
  const UniqueFd listener = ListenAt(dir / "web");
  const HostConnection connection = ConnectEndpoint({.path = dir / "web"});
  EXPECT_EQ(connection.status, Status::kConnected);
  EXPECT_TRUE(connection.socket.valid());
}

TEST(HostEndpointTest, WhatIsNotASocketIsRefused) {
  TempDir dir;
  const UniqueFd listener = ListenAt(dir / "web");
  ASSERT_EQ(symlink((dir / "web").c_str(), (dir / "link").c_str()), 0);
  const UniqueFd file(open((dir / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (const char* name : {"link", "file", "missing"}) {
    EXPECT_EQ(ConnectEndpoint({.path = dir / name}).status, Status::kRefused) << name;
  }
}

TEST(HostEndpointTest, BeneathADirectoryNoLinkLeadsOut) {
  TempDir dir, elsewhere;
  const UniqueFd outside = ListenAt(elsewhere / "web");
  ASSERT_EQ(mkdir((dir / "app").c_str(), 0700), 0);
  const UniqueFd inside = ListenAt(dir / "app/web");
  EXPECT_EQ(ConnectEndpoint({.path = dir / "app/web", .beneath = dir.path()}).status, Status::kConnected);
  // Somebody exchanges the directory.
  ASSERT_EQ(rename((dir / "app").c_str(), (dir / "app.old").c_str()), 0);
  ASSERT_EQ(symlink(elsewhere.path().c_str(), (dir / "app").c_str()), 0);
  EXPECT_EQ(ConnectEndpoint({.path = dir / "app/web", .beneath = dir.path()}).status, Status::kRefused);
  EXPECT_EQ(ConnectEndpoint({.path = dir / "app/web"}).status, Status::kConnected);
}

TEST(HostEndpointTest, ATcpPortIsReachedOrNot) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  HostEndpoint endpoint = Tcp(0);
  auto* address = reinterpret_cast<sockaddr*>(&endpoint.address);
  ASSERT_EQ(bind(listener.get(), address, endpoint.address_bytes), 0);
  ASSERT_EQ(getsockname(listener.get(), address, &endpoint.address_bytes), 0);
  const auto outcome = [&] {
    HostConnection connection = ConnectEndpoint(endpoint);
    if (connection.status != Status::kConnecting) return connection.status;
    pollfd ready{connection.socket.get(), POLLOUT, 0};
    poll(&ready, 1, -1);
    return (ready.revents & (POLLERR | POLLHUP)) != 0 ? Status::kRefused : Status::kConnected;
  };
  EXPECT_EQ(outcome(), Status::kRefused);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(outcome(), Status::kConnected);
}

// Simultaneous open with oneself: what a connect() to an unused port of the dynamic range now and then comes to.
TEST(HostEndpointTest, AConnectionToItselfIsFound) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  HostEndpoint endpoint = Tcp(0);
  auto* address = reinterpret_cast<sockaddr*>(&endpoint.address);
  ASSERT_EQ(bind(fd.get(), address, endpoint.address_bytes), 0);
  ASSERT_EQ(getsockname(fd.get(), address, &endpoint.address_bytes), 0);
  EXPECT_FALSE(IsConnectedToItself(fd.get()));
  ASSERT_EQ(connect(fd.get(), address, endpoint.address_bytes), 0);
  EXPECT_TRUE(IsConnectedToItself(fd.get()));
}

}  // namespace
}  // namespace kinsock
