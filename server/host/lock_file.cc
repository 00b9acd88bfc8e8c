// SPDX-License-Identifier: Apache-2.0
#include "server/host/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

absl::Status Failed(const std::string& path, int error) {
  return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
               absl::StrCat("lock file ", Quoted(path), ": ", strerror(error), "; choose another directory"))
      .With("path", path);
}

absl::Status Held(const std::string& path, int fd, const char* guarded) {
  std::array<char, 32> text{};
  const ssize_t length = pread(fd, text.data(), text.size() - 1, 0);
  absl::string_view pid(text.data(), length > 0 ? static_cast<size_t>(length) : 0);
  absl::ConsumeSuffix(&pid, "\n");
  return Error(absl::StatusCode::kFailedPrecondition, "DAEMON_RUNNING",
               absl::StrCat("another kinsockd (pid ", pid, ") holds ", Quoted(path), "; stop it, or choose another ",
                            guarded))
      .With("pid", std::string_view(pid.data(), pid.size()));
}

// Whether `path` still names the file behind `fd`: the holder before may have removed it while we waited our turn.
bool StillNamed(const std::string& path, int fd) {
  struct stat named, opened;
  return stat(path.c_str(), &named) == 0 && fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

}  // namespace

absl::StatusOr<LockFile> LockFile::Acquire(const std::string& path, const char* guarded) {
  // Each further attempt means that a holder went away in between.
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    LockFile lock;
    lock.fd_.reset(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock.fd_.valid()) return Failed(path, errno);
    if (flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Held(path, lock.fd_.get(), guarded);
      return Failed(path, errno);
    }
    if (!StillNamed(path, lock.fd_.get())) continue;
    const std::string pid = absl::StrCat(getpid(), "\n");
    if (ftruncate(lock.fd_.get(), 0) != 0 || pwrite(lock.fd_.get(), pid.data(), pid.size(), 0) < 0) {
      return Failed(path, errno);
    }
    lock.path_ = path;
    return lock;
  }
  return Failed(path, EAGAIN);
}

LockFile::LockFile(LockFile&& other) noexcept { *this = std::move(other); }

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  if (this == &other) return *this;
  Release();
  fd_ = std::move(other.fd_);
  path_ = std::exchange(other.path_, std::string());
  return *this;
}

void LockFile::Release() {
  // Removed while held: who opens it before sees by StillNamed() that it is gone.
  if (!path_.empty()) unlink(path_.c_str());
  path_.clear();
  fd_.reset();
}

}  // namespace kinsock
