// SPDX-License-Identifier: Apache-2.0
#include "cli/call/endpoint_fault.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"
#include "cli/text/shell_word.h"

namespace kinsock {
namespace {

// What the kernel says to a connection: 0, or an errno.
int TryToConnect(const std::string& path) {
  const std::optional<sockaddr_un> address = UnixAddress(path);
  if (!address.has_value()) return ENAMETOOLONG;
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 ? 0 : errno;
}

// "a directory" for what is there in place of a socket; empty for a socket, or if that cannot be said.
std::string KindOfOther(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0 || S_ISSOCK(found.st_mode)) return "";
  if (S_ISDIR(found.st_mode)) return "a directory";
  return S_ISREG(found.st_mode) ? "a file" : "something else";
}

}  // namespace

std::optional<EndpointFault> FindEndpointFault(const std::string& path) {
  const int error = TryToConnect(path);
  if (error == 0) return std::nullopt;
  const std::string at = absl::StrCat("unix:", path), said = strerror(error);
  const std::string elsewhere = "name another socket with --endpoint or KINSOCK_ENDPOINT";
  if (error == EACCES || error == EPERM) {
    return EndpointFault{kExitDenied, absl::StrCat(at, " does not let you in: ", said),
                         absl::StrCat("namei -l ", ShellWord(path), ", and join the group of what stops you, as with: ",
                                      "usermod -aG kinsock $USER")};
  }
  if (error == EAGAIN) {
    return EndpointFault{kExitUnavailable,
                         absl::StrCat("the daemon at ", at, " takes no connections: too many wait for it already"),
                         "whether it is stopped or busy: ps -C kinsockd -o pid,stat,pcpu,args"};
  }
  if (const std::string kind = KindOfOther(path); error == ECONNREFUSED && !kind.empty()) {
    return EndpointFault{kExitUnavailable, absl::StrCat("no kinsockd answers at ", at, ": it is ", kind, ", no socket"),
                         elsewhere};
  }
  if (error == ECONNREFUSED) {
    return EndpointFault{
        kExitUnavailable, absl::StrCat("no kinsockd answers at ", at, ": ", said, "; who made the socket runs no more"),
        absl::StrCat("systemctl status kinsock, or kinsockd --api ", ShellWord(at), ", or ", elsewhere)};
  }
  return EndpointFault{kExitUnavailable, absl::StrCat("no kinsockd answers at ", at, ": ", said),
                       absl::StrCat("kinsockd --api ", ShellWord(at), ", or ", elsewhere)};
}

}  // namespace kinsock
