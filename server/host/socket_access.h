// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_SOCKET_ACCESS_H_
#define KINSOCK_SERVER_HOST_SOCKET_ACCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/host/bound_socket.h"
#include "server/status/error.h"

namespace kinsock {

// Whose the file of a socket is. Plain value.
struct SocketAccess {
  std::string owner;         // a name or a number; empty: the daemon's user
  std::string group;         // likewise
  uint32_t mode = 0;         // 0: 0660
  std::optional<uid_t> uid;  // that `owner` is; none: nobody is called so
  std::optional<gid_t> gid;  // likewise
  friend bool operator==(const SocketAccess&, const SocketAccess&) = default;
};

// One with the numbers of its names: may ask a name service (user_names.h). Any thread.
SocketAccess FindSocketAccess(std::string owner, std::string group, uint32_t mode);

// What is wrong with it, as of `field`, "vm.spec.socket_access".
void CheckSocketAccess(const SocketAccess& access, const std::string& field, std::vector<FieldViolation>& violations);

// As the file is to be made; what nobody is called is the daemon's own, which lets in fewer. None: `otherwise`.
SocketPermissions PermissionsOf(const std::optional<SocketAccess>& access, SocketPermissions otherwise);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_SOCKET_ACCESS_H_
