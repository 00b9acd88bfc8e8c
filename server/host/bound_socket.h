// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_BOUND_SOCKET_H_
#define KINSOCK_SERVER_HOST_BOUND_SOCKET_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace kinsock {

// Who may connect to a socket: permissions and owners of its file.
struct SocketPermissions {
  mode_t mode = 0660;
  bool exact = false;                  // whatever the umask
  uid_t uid = static_cast<uid_t>(-1);  // -1: the daemon's
  gid_t gid = static_cast<gid_t>(-1);  // likewise
};

// A listening UNIX socket and its file. The file goes with this object, unless by then something else stands at the
// path; the descriptor can be handed on before.
class BoundSocket {
 public:
  // Listens at `path` (see InspectSocketPlace), non-blocking. A stale socket there is replaced. The file has `mode`,
  // less the umask, before anybody can connect; what `mode` gives to everybody it has whatever the umask.
  // ALREADY_EXISTS SOCKET_PATH_BUSY; FAILED_PRECONDITION when the file system refuses; RESOURCE_EXHAUSTED when there
  // are no descriptors left.
  static absl::StatusOr<BoundSocket> Listen(const std::string& path, int backlog, mode_t mode);

  // The same in `directory`, an O_PATH descriptor of what `path` names as its directory; kept, for removing. Invalid:
  // where `path` says. Nobody can connect before the file has its owners.
  static absl::StatusOr<BoundSocket> ListenIn(UniqueFd directory, const std::string& path, int backlog,
                                              const SocketPermissions& permissions);

  // A socket that listens and has no file.
  static BoundSocket WithoutFile(UniqueFd listener);

  BoundSocket() = default;
  BoundSocket(BoundSocket&& other) noexcept;
  BoundSocket& operator=(BoundSocket&& other) noexcept;
  ~BoundSocket() { Remove(); }

  const std::string& path() const { return path_; }
  const UniqueFd& listener() const { return listener_; }
  UniqueFd TakeListener() { return std::move(listener_); }

  // Whether the file still is the one that was made; true when there is none, and when that cannot be told.
  bool IsThere() const;

  // Removes the file now, so that nobody new connects, and closes the listener if it was not taken.
  void Remove();

 private:
  // Where to find the file: `path_`, or its name in `directory_` if that is known.
  std::string Place() const;

  UniqueFd listener_;
  UniqueFd directory_;
  std::string path_;  // empty: nothing to remove
  dev_t device_ = 0;  // of the file that was made
  ino_t inode_ = 0;
};

// SOCKET_PATH_BUSY for `path`; `reason` follows the path in the message.
absl::Status SocketPathBusy(const std::string& path, const std::string& reason);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_BOUND_SOCKET_H_
