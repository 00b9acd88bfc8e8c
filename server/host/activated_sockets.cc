// SPDX-License-Identifier: Apache-2.0
#include "server/host/activated_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"

namespace kinsock {
namespace {

// As the library gives them: all, and the array, are the caller's to free.
class Names {
 public:
  ~Names() {
    for (char** name = names_; name != nullptr && *name != nullptr; ++name) std::free(*name);
    std::free(names_);
  }
  char*** receiver() { return &names_; }
  std::string operator[](int i) const { return names_ == nullptr ? "" : names_[i]; }

 private:
  char** names_ = nullptr;
};

std::optional<ActivatedSocket::Kind> KindOf(std::string_view name) {
  if (name == "api") return ActivatedSocket::Kind::kApi;
  if (name == "view") return ActivatedSocket::Kind::kView;
  if (name == "http") return ActivatedSocket::Kind::kHttp;
  return std::nullopt;
}

// Empty: it has none in the file system.
std::string PathOf(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  if (address.sun_family != AF_UNIX || address.sun_path[0] != '/') return "";
  const size_t room = std::min<size_t>(size, sizeof(address)) - offsetof(sockaddr_un, sun_path);
  return std::string(address.sun_path, strnlen(address.sun_path, room));
}

// What is wrong with it, in words that follow its name; empty: nothing.
std::string Take(UniqueFd fd, const std::string& name, std::vector<ActivatedSocket>& taken) {
  const std::optional<ActivatedSocket::Kind> kind = KindOf(name);
  if (!kind.has_value()) return "write FileDescriptorName=api, view or http into its socket unit";
  if (sd_is_socket(fd.get(), AF_UNIX, SOCK_STREAM, 1) <= 0) {
    return "is no UNIX stream socket that listens; write ListenStream=/PATH, and Accept=no, into its socket unit";
  }
  std::string path = PathOf(fd.get());
  if (path.empty()) return "has no path; write ListenStream=/PATH into its socket unit";
  for (const ActivatedSocket& other : taken) {
    if (*kind == ActivatedSocket::Kind::kHttp && other.kind == *kind) {
      return absl::StrCat("is a second one, besides ", other.path, "; HTTP is served on one");
    }
  }
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) return "cannot be made non-blocking";
  taken.push_back({*kind, std::move(path), std::move(fd)});
  return "";
}

}  // namespace

absl::StatusOr<std::vector<ActivatedSocket>> TakeActivatedSockets() {
  Names names;
  const int count = sd_listen_fds_with_names(1, names.receiver());
  if (count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("$LISTEN_FDS and $LISTEN_FDNAMES make no sense together: ", strerror(-count)));
  }
  std::vector<ActivatedSocket> taken;
  std::vector<std::string> faults;
  for (int i = 0; i < count; ++i) {
    const std::string fault = Take(UniqueFd(SD_LISTEN_FDS_START + i), names[i], taken);
    if (!fault.empty()) {
      faults.push_back(absl::StrCat("socket ", i + 1, " from systemd, ", Quoted(names[i]), ": ", fault));
    }
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return taken;
}

}  // namespace kinsock
