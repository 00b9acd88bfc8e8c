// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/explain/explain_facts.h"
#include "cli/explain/unix_listener.h"

namespace kinsock {
namespace {

using HostListener = ExplainFacts::HostListener;
using HostSocket = ExplainFacts::HostSocket;

std::string OwnerOf(const struct stat& file) {
  const passwd* const user = getpwuid(file.st_uid);
  const group* const its_group = getgrgid(file.st_gid);
  return absl::StrCat(user != nullptr ? std::string(user->pw_name) : absl::StrCat(file.st_uid), ":",
                      its_group != nullptr ? std::string(its_group->gr_name) : absl::StrCat(file.st_gid),
                      absl::StrFormat(", mode %04o", file.st_mode & 07777));
}

// unix(7): who connects needs to pass the directories, and to write to the socket.
HostSocket LookAtHostSocket(const std::string& path, std::string& owner) {
  if (access(path.c_str(), W_OK) == 0) return HostSocket::kOpen;
  if (errno == ENOENT) return HostSocket::kGone;
  struct stat found;
  if (stat(path.c_str(), &found) == 0) owner = OwnerOf(found);
  return HostSocket::kForbidden;
}

HostListener LookForListener(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return errno == ENOENT ? HostListener::kNone : HostListener::kElsewhere;
  switch (FindListener(path)) {
    case UnixListener::kListens:
      return HostListener::kListening;
    case UnixListener::kNone:
      return HostListener::kDead;
    case UnixListener::kUnknown:
      break;
  }
  return HostListener::kUnseen;
}

}  // namespace

void FindHostFacts(const Options& options, ExplainFacts& facts) {
  const bool here = absl::StartsWith(options.endpoint, "unix:");
  if (facts.source.host && facts.target.vm.has_value() && !facts.target.vm->status().uds_path().empty()) {
    facts.host_socket =
        here ? LookAtHostSocket(facts.target.vm->status().uds_path(), facts.host_socket_owner) : HostSocket::kElsewhere;
  }
  if (facts.target.host && facts.source.vm.has_value() && !facts.source.vm->status().uds_path().empty()) {
    facts.host_path = absl::StrCat(facts.source.vm->status().uds_path(), "_", facts.port);
    facts.host_listener = here ? LookForListener(facts.host_path) : HostListener::kElsewhere;
  }
}

}  // namespace kinsock
