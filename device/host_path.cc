// SPDX-License-Identifier: Apache-2.0
#include "device/host_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"

namespace kinsock {
namespace {

// The socket file itself, pinned: whatever happens to the name afterwards, this is what gets connected.
UniqueFd OpenSocketFile(const std::string& directory, const std::string& name) {
  UniqueFd dir(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return UniqueFd();
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  UniqueFd file(static_cast<int>(syscall(SYS_openat2, dir.get(), name.c_str(), &how, sizeof(how))));
  struct stat info;
  if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISSOCK(info.st_mode)) return UniqueFd();
  return file;
}

HostConnection ConnectFile(const UniqueFd& file, int socket_type) {
  if (!file.valid()) return {};
  UniqueFd socket(::socket(AF_UNIX, socket_type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return {.status = HostConnection::Status::kBusy, .socket = UniqueFd()};

  const std::optional<sockaddr_un> address = UnixAddress(absl::StrCat("/proc/self/fd/", file.get()));
  if (!address.has_value()) return {};
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0) {
    return {.status = HostConnection::Status::kConnected, .socket = std::move(socket)};
  }
  if (errno == EAGAIN || errno == EINTR) return {.status = HostConnection::Status::kBusy, .socket = UniqueFd()};
  return {};
}

}  // namespace

HostConnection ConnectHostPath(const std::string& uds_path, uint32_t port, int socket_type) {
  return ConnectSocketFile("", absl::StrCat(uds_path, "_", port), socket_type);
}

HostConnection ConnectSocketFile(const std::string& beneath, const std::string& path, int socket_type) {
  if (!beneath.empty()) {
    const size_t below = beneath == "/" ? 1 : beneath.size() + 1;
    return ConnectFile(OpenSocketFile(beneath, path.substr(below)), socket_type);
  }
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return ConnectFile(OpenSocketFile(directory, path.substr(slash == std::string::npos ? 0 : slash + 1)), socket_type);
}

}  // namespace kinsock
