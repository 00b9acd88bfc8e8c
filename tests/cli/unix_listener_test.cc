// SPDX-License-Identifier: Apache-2.0
//
// Who listens on a socket file is found out without a connection, by whatever name he has bound it.
#include "cli/explain/unix_listener.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

class UnixListenerTest : public ::testing::Test {
 protected:
  // `name` is bound as it is.
  static UniqueFd Bind(const std::string& name, int type = SOCK_STREAM) {
    UniqueFd fd = testing::NewUnixSocket(type);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.data(), name.size());
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
    return fd;
  }
  static UniqueFd Listen(const std::string& name, int type = SOCK_STREAM) {
    UniqueFd fd = Bind(name, type);
    EXPECT_EQ(listen(fd.get(), 1), 0);
    return fd;
  }
  static bool IsCalled(const UniqueFd& listener) {
    return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)).valid();
  }

  const testing::TempDir directory_;
  const std::string path_ = directory_ / "web.uds_80";
};

TEST_F(UnixListenerTest, WhoListensIsFoundAndNotCalled) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    const UniqueFd listener = Listen(path_, type);
    EXPECT_EQ(FindListener(path_), UnixListener::kListens);
    EXPECT_FALSE(IsLeftBehind(path_));
    EXPECT_FALSE(IsCalled(listener));
    unlink(path_.c_str());
  }
}

TEST_F(UnixListenerTest, ANameThatIsRelativeIsTheSameSocket) {
  ASSERT_EQ(chdir(directory_.path().c_str()), 0);
  const UniqueFd listener = Listen("web.uds_80");
  EXPECT_EQ(FindListener(path_), UnixListener::kListens);
}

TEST_F(UnixListenerTest, ANameThroughASymbolicLinkIsTheSameSocket) {
  ASSERT_EQ(symlink(directory_.path().c_str(), (directory_ / "run").c_str()), 0);
  const UniqueFd listener = Listen(directory_ / "run/web.uds_80");
  EXPECT_EQ(FindListener(path_), UnixListener::kListens);
}

TEST_F(UnixListenerTest, ASocketThatWasLeftBehindIsNobodys) {
  UniqueFd listener = Listen(path_);
  const UniqueFd caller = testing::ConnectTo(path_);
  UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  listener.reset();
  EXPECT_EQ(FindListener(path_), UnixListener::kNone) << "whoever was accepted before is not there to be called";
  EXPECT_TRUE(IsLeftBehind(path_));
}

TEST_F(UnixListenerTest, ASocketThatIsHeldAndNotListenedOnIsNobodys) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const UniqueFd held = Bind(path_, type);
    EXPECT_EQ(FindListener(path_), UnixListener::kNone);
    EXPECT_FALSE(IsLeftBehind(path_)) << "it is not to be taken away";
    unlink(path_.c_str());
  }
}

TEST_F(UnixListenerTest, WhatIsNoSocketIsNobodys) {
  std::ofstream(path_) << "a file";
  EXPECT_EQ(FindListener(path_), UnixListener::kNone);
  EXPECT_FALSE(IsLeftBehind(path_));
  // The daemon follows no link that stands in the place of the socket.
  const UniqueFd listener = Listen(directory_ / "other");
  unlink(path_.c_str());
  ASSERT_EQ(symlink((directory_ / "other").c_str(), path_.c_str()), 0);
  EXPECT_EQ(FindListener(path_), UnixListener::kNone);
}

}  // namespace
}  // namespace kinsock
