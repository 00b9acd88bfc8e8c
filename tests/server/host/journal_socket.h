// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_HOST_JOURNAL_SOCKET_H_
#define KINSOCK_TESTS_SERVER_HOST_JOURNAL_SOCKET_H_

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "base/unique_fd.h"

namespace kinsock::testing {

inline constexpr char kJournalSocket[] = "/run/systemd/journal/socket";

// What journald would listen on; only this process and the threads that it starts from here on see it.
inline UniqueFd BecomeTheJournal() {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return UniqueFd();
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) return UniqueFd();
  mkdir("/run/systemd", 0755);
  mkdir("/run/systemd/journal", 0755);
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, kJournalSocket, sizeof(address.sun_path) - 1);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return UniqueFd();
  return fd;
}

// The native protocol, as far as no value has a line break.
inline std::map<std::string, std::string> NextEntry(const UniqueFd& journal) {
  std::string datagram(65536, '\0');
  const ssize_t size = recv(journal.get(), datagram.data(), datagram.size(), MSG_DONTWAIT);
  datagram.resize(size > 0 ? static_cast<size_t>(size) : 0);
  std::map<std::string, std::string> fields;
  for (const auto line : absl::StrSplit(datagram, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits('=', 1));
    fields.insert(field);
  }
  return fields;
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_HOST_JOURNAL_SOCKET_H_
