// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_USER_NAMES_H_
#define KINSOCK_SERVER_HOST_USER_NAMES_H_

#include <sys/types.h>

#include <optional>
#include <string>

namespace kinsock {

// The numbers of a user and of a group, given by name or number; nothing if there is none. May ask a name service, and
// so take its time: not on main once the daemon serves. Any thread.
std::optional<uid_t> UserId(const std::string& name);
std::optional<gid_t> GroupId(const std::string& name);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_USER_NAMES_H_
