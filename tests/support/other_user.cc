// SPDX-License-Identifier: Apache-2.0
#include "tests/support/other_user.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/support/require.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {

bool CanBeOthers() {
  std::ifstream map("/proc/self/uid_map");
  uid_t inside = 1, outside = 1, count = 0;
  map >> inside >> outside >> count;
  return geteuid() == 0 && inside == 0 && count > 65536;
}

UniqueFd ConnectAs(const OtherUser& user, const std::string& path) {
  UniqueFd socket = NewUnixSocket();
  bool connected = false;
  // The bare system calls change the one thread that makes them, which ends here; the C library's would change all.
  std::thread([&] {
    Require(syscall(SYS_setgroups, user.groups.size(), user.groups.data()) == 0, "setgroups");
    Require(syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0, "setresgid");
    Require(syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0, "setresuid");
    connected = TryConnect(socket, path);
  }).join();
  return connected ? std::move(socket) : UniqueFd();
}

}  // namespace kinsock::testing
