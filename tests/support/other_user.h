// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_OTHER_USER_H_
#define KINSOCK_TESTS_SUPPORT_OTHER_USER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace kinsock::testing {

// Somebody else on this machine.
struct OtherUser {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};

// Whether this process may act for others: it runs as root, outside of Bazel's sandbox (tag "local").
bool CanBeOthers();

// A socket that `user` has connected to `path`, or an invalid one if he may not. The kernel remembers who connects, not
// who owns the descriptor later.
UniqueFd ConnectAs(const OtherUser& user, const std::string& path);

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_OTHER_USER_H_
