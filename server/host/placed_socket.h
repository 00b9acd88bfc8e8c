// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_PLACED_SOCKET_H_
#define KINSOCK_SERVER_HOST_PLACED_SOCKET_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/host/bound_socket.h"
#include "server/host/socket_dirs.h"
#include "server/status/error.h"

namespace kinsock {

// Sockets that API clients have made: where they may be, and how they are made there. `within`: below which directories
// they must lie; null, or without any: anywhere. `path` has no fault (SocketPathFault).

// Looks whether one can be made; makes nothing. What the file system or `within` refuses is added to `violations` as of
// `field`; what somebody else has is returned: SOCKET_PATH_BUSY.
absl::Status CheckSocketPlace(const std::string& field, const std::string& path, bool directory_may_be_missing,
                              const SocketDirs* within, std::vector<FieldViolation>& violations);

// Errors: as BoundSocket::Listen().
absl::StatusOr<BoundSocket> ListenWithin(const SocketDirs* within, const std::string& path, int backlog,
                                         const SocketPermissions& permissions);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_PLACED_SOCKET_H_
