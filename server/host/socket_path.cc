// SPDX-License-Identifier: Apache-2.0
#include "server/host/socket_path.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"

namespace kinsock {
namespace {

using Kind = SocketPlace::Kind;

std::string Directory(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

SocketPlace Refused(std::string reason) { return {Kind::kRefused, std::move(reason)}; }

std::string Missing(const std::string& directory) {
  return absl::StrCat("lies in ", directory, ", which does not exist; create the directory or choose another");
}

// Why a directory that is there is none for sockets; empty: it is.
std::string DirectoryFault(const std::string& directory, mode_t mode) {
  if (!S_ISDIR(mode)) return absl::StrCat("lies in ", directory, ", which is not a directory");
  // There, anybody could put a socket of his own in the place of ours.
  if ((mode & S_IWOTH) == 0 || (mode & S_ISVTX) != 0) return "";
  return absl::StrCat("lies in ", directory,
                      ", to which everybody may write; take that permission away (chmod o-w) or choose another");
}

SocketPlace InspectDirectory(const std::string& directory, bool may_be_missing) {
  struct stat found;
  if (stat(directory.c_str(), &found) != 0) {
    if (errno == ENOENT && may_be_missing) return {};
    if (errno == ENOENT) return Refused(Missing(directory));
    return Refused(absl::StrCat("lies in ", directory, ", which cannot be reached: ", strerror(errno)));
  }
  if (std::string fault = DirectoryFault(directory, found.st_mode); !fault.empty()) return Refused(std::move(fault));
  if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return Refused(absl::StrCat("lies in ", directory, ", where the daemon (uid ", geteuid(),
                                ") may not create files: ", strerror(errno)));
  }
  return {};
}

const char* FileKind(mode_t mode) {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a pipe";
  return "a device";
}

std::string NotASocket(mode_t mode) {
  return absl::StrCat("is ", FileKind(mode), ", not a socket; remove it or choose another path");
}

// Knocks. To be told apart: nobody there, somebody, and no answer that proves either.
SocketPlace Knock(const std::string& path) {
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return {Kind::kBusy, absl::StrCat("cannot be examined: ", strerror(errno))};
  const std::optional<sockaddr_un> address = UnixAddress(path);
  if (!address.has_value()) return {Kind::kBusy, absl::StrCat("cannot be examined: ", strerror(ENAMETOOLONG))};
  const int result = connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
  if (result == 0 || errno == EAGAIN) {
    return {Kind::kBusy, "is served by a running process; choose another path, or stop that process"};
  }
  if (errno == ECONNREFUSED) return {Kind::kStale, ""};
  if (errno == ENOENT) return {Kind::kFree, ""};
  return {Kind::kBusy,
          absl::StrCat("is a socket of somebody else (", strerror(errno), "); choose another path, or remove it")};
}

}  // namespace

std::string SocketPathFault(std::string_view path, size_t max_bytes) {
  if (path.empty()) return "is empty; give an absolute path";
  if (path.front() != '/') return absl::StrCat(Quoted(path), " is not absolute; begin it with \"/\"");
  if (!IsUtf8(path)) return absl::StrCat(Quoted(path), " is not UTF-8");
  if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); })) {
    return absl::StrCat(Quoted(path), " has control characters");
  }
  for (const absl::string_view part : absl::StrSplit(AbslView(path.substr(1)), '/')) {
    if (part == ".." || part == ".") return absl::StrCat(Quoted(path), " has \"", part, "\" in it; spell it out");
    if (part.empty()) return absl::StrCat(Quoted(path), " has an empty component; \"/\" stands between two names only");
  }
  if (path.size() > max_bytes) {
    return absl::StrCat(Quoted(path), " is ", path.size(), " bytes, at most ", max_bytes, " fit (",
                        max_bytes == kMaxHybridPathBytes ? "107 of sun_path less \"_4294967295\"" : "sun_path",
                        "); choose a shorter path");
  }
  return "";
}

SocketPlace InspectSocketPlace(const std::string& path, bool directory_may_be_missing) {
  SocketPlace place = InspectDirectory(Directory(path), directory_may_be_missing);
  if (place.kind != Kind::kFree) return place;
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return Refused(absl::StrCat("cannot be reached: ", strerror(errno)));
  }
  if (!S_ISSOCK(found.st_mode)) return Refused(NotASocket(found.st_mode));
  return Knock(path);
}

std::string SocketPlaceFault(const std::string& path, bool directory_may_be_missing) {
  const std::string directory = Directory(path);
  struct stat found;
  if (stat(directory.c_str(), &found) != 0) {
    return errno == ENOENT && !directory_may_be_missing ? Missing(directory) : "";
  }
  if (std::string fault = DirectoryFault(directory, found.st_mode); !fault.empty()) return fault;
  return lstat(path.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode) ? NotASocket(found.st_mode) : "";
}

std::string CanonicalSocketPath(const std::string& path) {
  char* resolved = realpath(Directory(path).c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string canonical(resolved);
  free(resolved);
  if (canonical != "/") canonical += '/';
  return canonical + path.substr(path.rfind('/') + 1);
}

}  // namespace kinsock
