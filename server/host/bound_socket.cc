// SPDX-License-Identifier: Apache-2.0
#include "server/host/bound_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/unix_address.h"
#include "server/host/socket_path.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// Holds the lock of a directory while a stale socket in it is replaced. Without it, of two daemons that start at one
// moment the second could take the first's socket, bound but not listening yet, for a stale one. Best effort: the
// directory may not be readable, and whoever can read it could hold the lock for ever. Who does is waited for once in
// a while, not for each socket.
UniqueFd LockDirectory(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fd;
  // What another daemon does under the lock takes microseconds.
  constexpr int kAttempts = 20;
  constexpr timespec kPause{0, 1'000'000};
  constexpr std::chrono::seconds kAWhile{60};
  static std::atomic<MonotonicTime> impatient_until;
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0 || Clock::Monotonic().Now() < impatient_until.load()) return fd;
  for (int i = 0; i < kAttempts; ++i) {
    nanosleep(&kPause, nullptr);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  }
  impatient_until.store(Clock::Monotonic().Now() + kAWhile);
  return fd;
}

// Gives the file what bind() could not: what the umask took away, and other owners. Through a descriptor, for the owner
// of the directory could have put a link to another file in its place.
bool Settle(const std::string& path, const struct stat& made, const SocketPermissions& wanted) {
  const mode_t mode = wanted.mode;
  const mode_t lacks = mode & ~made.st_mode;
  const bool other_mode = wanted.exact ? lacks != 0 : (lacks & S_IRWXO) != 0;
  const bool other_owner = wanted.uid != static_cast<uid_t>(-1) || wanted.gid != static_cast<gid_t>(-1);
  if (!other_mode && !other_owner) return true;
  const UniqueFd file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat found;
  if (!file.valid() || fstat(file.get(), &found) != 0) return false;
  if (found.st_dev != made.st_dev || found.st_ino != made.st_ino) {
    errno = ENOENT;
    return false;
  }
  // In this order: what is another's is no longer ours to change.
  if (other_mode && chmod(absl::StrCat("/proc/self/fd/", file.get()).c_str(), mode) != 0) return false;
  return !other_owner || fchownat(file.get(), "", wanted.uid, wanted.gid, AT_EMPTY_PATH) == 0;
}

absl::Status Failed(const std::string& path, const char* what) {
  const int error = errno;
  if (error == EADDRINUSE) return SocketPathBusy(path, "was taken by another process at this moment");
  const bool exhausted = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
  return Error(exhausted ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kFailedPrecondition,
               exhausted ? "QUOTA_EXCEEDED" : "SOCKET_FAILED",
               absl::StrCat("socket ", Quoted(path), ": ", what, ": ", strerror(error)))
      .With("path", path);
}

}  // namespace

absl::Status SocketPathBusy(const std::string& path, const std::string& reason) {
  return Error(absl::StatusCode::kAlreadyExists, "SOCKET_PATH_BUSY",
               absl::StrCat("socket path ", Quoted(path), " ", reason))
      .With("path", path);
}

std::string BoundSocket::Place() const {
  if (!directory_.valid()) return path_;
  return absl::StrCat("/proc/self/fd/", directory_.get(), path_.substr(path_.rfind('/')));
}

absl::StatusOr<BoundSocket> BoundSocket::Listen(const std::string& path, int backlog, mode_t mode) {
  return ListenIn(UniqueFd(), path, backlog, SocketPermissions{.mode = mode});
}

absl::StatusOr<BoundSocket> BoundSocket::ListenIn(UniqueFd directory, const std::string& path, int backlog,
                                                  const SocketPermissions& permissions) {
  BoundSocket bound;
  bound.directory_ = std::move(directory);
  bound.path_ = path;
  const std::string where = bound.Place();
  bound.path_.clear();  // until there is something to remove
  const UniqueFd lock = LockDirectory(where);
  const SocketPlace place = InspectSocketPlace(where, false);
  if (place.kind == SocketPlace::Kind::kBusy) return SocketPathBusy(path, place.reason);
  if (place.kind == SocketPlace::Kind::kRefused) {
    return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
                 absl::StrCat("socket path ", Quoted(path), " ", place.reason))
        .With("path", path);
  }
  if (place.kind == SocketPlace::Kind::kStale && unlink(where.c_str()) != 0 && errno != ENOENT) {
    return Failed(path, "removing what a dead process left there");
  }

  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Failed(path, "socket");
  // On Linux, bind() makes the file with the mode of the socket: it never has another one.
  if (fchmod(fd.get(), permissions.mode) != 0) return Failed(path, "setting its permissions");
  const std::optional<sockaddr_un> address = UnixAddress(where);
  if (!address.has_value()) {
    errno = ENAMETOOLONG;
    return Failed(path, "bind");
  }
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) return Failed(path, "bind");

  struct stat made;
  if (lstat(where.c_str(), &made) != 0) return Failed(path, "it vanished");
  bound.path_ = path;
  bound.device_ = made.st_dev;
  bound.inode_ = made.st_ino;
  bound.listener_ = std::move(fd);
  if (!Settle(where, made, permissions)) return Failed(path, "setting its permissions");
  if (listen(bound.listener_.get(), backlog) != 0) return Failed(path, "listen");
  return bound;
}

BoundSocket BoundSocket::WithoutFile(UniqueFd listener) {
  BoundSocket bound;
  bound.listener_ = std::move(listener);
  return bound;
}

BoundSocket::BoundSocket(BoundSocket&& other) noexcept { *this = std::move(other); }

BoundSocket& BoundSocket::operator=(BoundSocket&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  listener_ = std::move(other.listener_);
  directory_ = std::move(other.directory_);
  path_ = std::exchange(other.path_, std::string());
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

bool BoundSocket::IsThere() const {
  if (path_.empty()) return true;
  struct stat found;
  if (lstat(Place().c_str(), &found) != 0) return errno != ENOENT && errno != ENOTDIR;
  return found.st_dev == device_ && found.st_ino == inode_;
}

void BoundSocket::Remove() {
  if (!path_.empty()) {
    const std::string place = Place();
    struct stat found;
    if (lstat(place.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) unlink(place.c_str());
    path_.clear();
    directory_.reset();
  }
  listener_.reset();
}

}  // namespace kinsock
