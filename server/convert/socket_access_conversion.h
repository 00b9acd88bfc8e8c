// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_SOCKET_ACCESS_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_SOCKET_ACCESS_CONVERSION_H_

#include "api/kinsock/v1/vm.pb.h"
#include "server/host/socket_access.h"

namespace kinsock {

// From and to the API's message. The first may ask a name service (FindSocketAccess()). Any thread.

inline SocketAccess ToSocketAccess(const v1::SocketAccess& access) {
  return FindSocketAccess(access.owner(), access.group(), access.mode());
}

inline v1::SocketAccess ToProto(const SocketAccess& access) {
  v1::SocketAccess out;
  out.set_owner(access.owner);
  out.set_group(access.group);
  out.set_mode(access.mode);
  return out;
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_SOCKET_ACCESS_CONVERSION_H_
