// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_LOCK_FILE_H_
#define KINSOCK_SERVER_HOST_LOCK_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace kinsock {

// "I am the one who serves this": a locked file that goes with the process, however it ends. Thread-compatible.
class LockFile {
 public:
  // FAILED_PRECONDITION DAEMON_RUNNING {pid} when another process holds it; SOCKET_FAILED when the file cannot be made.
  // `guarded`: what is to be chosen otherwise then.
  static absl::StatusOr<LockFile> Acquire(const std::string& path, const char* guarded = "API socket");

  LockFile() = default;
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile() { Release(); }

  // Removes the file and lets the lock go.
  void Release();

 private:
  UniqueFd fd_;
  std::string path_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_LOCK_FILE_H_
