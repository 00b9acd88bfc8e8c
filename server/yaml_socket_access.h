// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_YAML_SOCKET_ACCESS_H_
#define KINSOCK_SERVER_YAML_SOCKET_ACCESS_H_

#include <optional>

#include "server/socket_access.h"
#include "server/yaml_map.h"

namespace kinsock {

// The keys `owner`, `group` and `mode` ("0660", octal) of a map, as readers to add to its own. `access` is there as soon as
// one of them is. Both outlive the readers.
YamlMap::Readers SocketAccessReaders(YamlMap& map, std::optional<SocketAccess>& access);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_YAML_SOCKET_ACCESS_H_
