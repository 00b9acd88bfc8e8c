// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_UNIX_ADDRESS_H_
#define KINSOCK_BASE_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <optional>
#include <string_view>

namespace kinsock {

// The address of the UNIX socket at `path` (unix(7)). Nothing: it is longer than the 107 bytes that there is room for;
// the kernel would take a part of it for all of it.
inline std::optional<sockaddr_un> UnixAddress(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace kinsock

#endif  // KINSOCK_BASE_UNIX_ADDRESS_H_
