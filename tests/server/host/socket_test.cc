// SPDX-License-Identifier: Apache-2.0
//
// What happens on a real file system when a socket is wanted: socket_path, bound_socket, lock_file.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "server/host/bound_socket.h"
#include "server/host/lock_file.h"
#include "server/host/socket_path.h"
#include "server/status/error.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using Kind = SocketPlace::Kind;

class SocketTest : public ::testing::Test {
 protected:
  SocketTest() { umask(0007); }

  static bool Exists(const std::string& path) {
    struct stat found;
    return lstat(path.c_str(), &found) == 0;
  }

  // What a process that died leaves behind.
  static void LeaveStale(const std::string& path) {
    const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  testing::TempDir dir_;
};

TEST_F(SocketTest, AFreePlaceIsFree) {
  EXPECT_EQ(InspectSocketPlace(dir_ / "a", false).kind, Kind::kFree);
  EXPECT_EQ(InspectSocketPlace(dir_ / "no/a", true).kind, Kind::kFree);
}

TEST_F(SocketTest, WhatIsNoPlaceForASocketIsSaidInWords) {
  EXPECT_THAT(InspectSocketPlace(dir_ / "no/a", false).reason, HasSubstr("does not exist"));

  std::ofstream(dir_ / "file") << "precious";
  const SocketPlace file = InspectSocketPlace(dir_ / "file", false);
  EXPECT_EQ(file.kind, Kind::kRefused);
  EXPECT_THAT(file.reason, HasSubstr("a regular file"));
  EXPECT_THAT(InspectSocketPlace(dir_ / "file/a", false).reason, HasSubstr("is not a directory"));

  ASSERT_EQ(symlink("/etc/passwd", (dir_ / "link").c_str()), 0);
  EXPECT_THAT(InspectSocketPlace(dir_ / "link", false).reason, HasSubstr("symbolic link"));

  ASSERT_EQ(mkdir((dir_ / "open").c_str(), 0700), 0);
  ASSERT_EQ(chmod((dir_ / "open").c_str(), 0777), 0);
  EXPECT_THAT(InspectSocketPlace(dir_ / "open/a", false).reason, HasSubstr("everybody may write"));
  ASSERT_EQ(chmod((dir_ / "open").c_str(), 01777), 0);
  EXPECT_EQ(InspectSocketPlace(dir_ / "open/a", false).kind, Kind::kFree) << "sticky, as /tmp";
}

TEST_F(SocketTest, AServedSocketIsLeftAlone) {
  const absl::StatusOr<BoundSocket> first = BoundSocket::Listen(dir_ / "a", 8, 0660);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(InspectSocketPlace(dir_ / "a", false).kind, Kind::kBusy);
  const absl::Status second = BoundSocket::Listen(dir_ / "a", 8, 0660).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorReason(second), "SOCKET_PATH_BUSY");
  EXPECT_TRUE(Exists(dir_ / "a"));
}

TEST_F(SocketTest, AServedSocketWithAFullBacklogIsLeftAlone) {
  const absl::StatusOr<BoundSocket> server = BoundSocket::Listen(dir_ / "a", 0, 0660);
  ASSERT_TRUE(server.ok());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(InspectSocketPlace(dir_ / "a", false).kind, Kind::kBusy);
}

TEST_F(SocketTest, AStaleSocketIsReplaced) {
  LeaveStale(dir_ / "a");
  EXPECT_EQ(InspectSocketPlace(dir_ / "a", false).kind, Kind::kStale);
  const absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / "a", 8, 0660);
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_EQ(InspectSocketPlace(dir_ / "a", false).kind, Kind::kBusy);
}

// Who may read a directory can hold its lock for ever.
TEST_F(SocketTest, WhoHoldsTheLockOfADirectoryIsWaitedForOnce) {
  const UniqueFd holder(open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(holder.get(), LOCK_EX), 0);
  rusage before, after;
  getrusage(RUSAGE_THREAD, &before);
  constexpr int kSockets = 100;
  for (int i = 0; i < kSockets; ++i) {
    const absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / absl::StrCat(i), 1, 0600);
    EXPECT_TRUE(socket.ok()) << socket.status();
  }
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, kSockets) << "how often the thread slept";
}

TEST_F(SocketTest, AFileThatIsNoSocketIsNotReplaced) {
  std::ofstream(dir_ / "file") << "precious";
  EXPECT_FALSE(BoundSocket::Listen(dir_ / "file", 8, 0660).ok());
  struct stat found;
  ASSERT_EQ(stat((dir_ / "file").c_str(), &found), 0);
  EXPECT_EQ(found.st_size, 8);
}

TEST_F(SocketTest, TheFileHasItsModeAndNobodyElsesDoorIsOpen) {
  const absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / "a", 8, 0660);
  ASSERT_TRUE(socket.ok());
  struct stat found;
  ASSERT_EQ(stat((dir_ / "a").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0660u);
}

TEST_F(SocketTest, TheFileGoesWithItsOwner) {
  {
    absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / "a", 8, 0660);
    ASSERT_TRUE(socket.ok());
    const BoundSocket moved = *std::move(socket);
    EXPECT_TRUE(Exists(dir_ / "a"));
  }
  EXPECT_FALSE(Exists(dir_ / "a"));
}

TEST_F(SocketTest, WhatSomebodyElsePutInItsPlaceStays) {
  absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(dir_ / "a", 8, 0660);
  ASSERT_TRUE(socket.ok());
  ASSERT_EQ(unlink((dir_ / "a").c_str()), 0);
  std::ofstream(dir_ / "a") << "somebody else's";
  socket->Remove();
  EXPECT_TRUE(Exists(dir_ / "a"));
}

TEST_F(SocketTest, TwoSpellingsOfOnePlaceAreTheSame) {
  ASSERT_EQ(symlink(dir_.path().c_str(), (dir_ / "also").c_str()), 0);
  EXPECT_EQ(CanonicalSocketPath(dir_ / "also/a"), CanonicalSocketPath(dir_ / "a"));
  EXPECT_EQ(CanonicalSocketPath("/no/such/directory/a"), "/no/such/directory/a");
}

TEST_F(SocketTest, OneHolderOfALockAtATime) {
  absl::StatusOr<LockFile> first = LockFile::Acquire(dir_ / "lock");
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = LockFile::Acquire(dir_ / "lock").status();
  EXPECT_EQ(ErrorReason(second), "DAEMON_RUNNING");
  EXPECT_THAT(std::string(second.message()), HasSubstr(std::to_string(getpid())));
  first->Release();
  EXPECT_FALSE(Exists(dir_ / "lock"));
  EXPECT_TRUE(LockFile::Acquire(dir_ / "lock").ok());
}

TEST_F(SocketTest, ALockFileOfADeadProcessIsTaken) {
  std::ofstream(dir_ / "lock") << "99999\n";
  EXPECT_TRUE(LockFile::Acquire(dir_ / "lock").ok());
}

TEST_F(SocketTest, ALockIsNotTakenThroughALink) {
  ASSERT_EQ(symlink("/etc/passwd", (dir_ / "lock").c_str()), 0);
  EXPECT_FALSE(LockFile::Acquire(dir_ / "lock").ok());
}

}  // namespace
}  // namespace kinsock
