// SPDX-License-Identifier: Apache-2.0
#include "server/host/socket_dirs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kinsock {

std::string SocketDirs::Above(const std::string& path) const {
  std::string longest;
  for (const std::string& directory : directories_) {
    const std::string prefix = directory == "/" ? directory : directory + "/";
    if (absl::StartsWith(path, prefix) && directory.size() > longest.size()) longest = directory;
  }
  return longest;
}

std::string SocketDirs::Fault(const std::string& path) const {
  if (anywhere() || !Above(path).empty()) return "";
  return absl::StrCat("lies below none of the directories that API clients may use; choose one below ",
                      absl::StrJoin(directories_, " or "), ", or start kinsockd with another --socket-dir");
}

absl::StatusOr<UniqueFd> SocketDirs::OpenDirectoryOf(const std::string& path) const {
  const std::string base = Above(path);
  if (base.empty()) return absl::PermissionDeniedError(Fault(path));
  const UniqueFd start(open(base.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!start.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("lies in ", base, ", which cannot be reached"));
  }
  const size_t begin = base == "/" ? 1 : base.size() + 1;
  const size_t slash = path.rfind('/');
  const std::string below = slash > begin ? path.substr(begin, slash - begin) : ".";
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd directory(static_cast<int>(syscall(SYS_openat2, start.get(), below.c_str(), &how, sizeof(how))));
  if (directory.valid()) return directory;
  if (errno == ELOOP) {
    return absl::PermissionDeniedError(
        absl::StrCat("leads through a symbolic link below ", base, "; spell the place out"));
  }
  if (errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("lies in ", path.substr(0, slash),
                                            ", which does not exist; create the directory or choose another"));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("lies in ", path.substr(0, slash), ", which cannot be reached"));
}

}  // namespace kinsock
