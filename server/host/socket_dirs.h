// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_SOCKET_DIRS_H_
#define KINSOCK_SERVER_HOST_SOCKET_DIRS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace kinsock {

// Below which directories API clients may have sockets made. Who may create a VM is not thereby somebody who may have
// the daemon make and remove files wherever it can.
//
// Immutable once the daemon runs; any thread.
class SocketDirs {
 public:
  // Without a directory: below any.
  bool anywhere() const { return directories_.empty(); }

  // `directory` is absolute and has no "..", as SocketPathFault() has it; how it is reached is the administrator's
  // affair.
  void Allow(const std::string& directory) { directories_.push_back(directory); }

  // The directory of the socket path `path`, which has no fault; pinned, so that what is done in it is done there
  // whatever becomes of the names. From the allowed directory on no symbolic link is followed and no way leads out
  // (openat2). PERMISSION_DENIED, NOT_FOUND and so on: what is wrong, in words that follow the path. Precondition:
  // !anywhere().
  absl::StatusOr<UniqueFd> OpenDirectoryOf(const std::string& path) const;

  // Why `path` lies below none of the directories, in words that follow it; empty if it lies below one.
  std::string Fault(const std::string& path) const;

  // The allowed directory that `path` lies below; empty if none.
  std::string Above(const std::string& path) const;

 private:
  std::vector<std::string> directories_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_SOCKET_DIRS_H_
