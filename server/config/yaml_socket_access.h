// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_YAML_SOCKET_ACCESS_H_
#define KINSOCK_SERVER_CONFIG_YAML_SOCKET_ACCESS_H_

#include <optional>

#include "server/config/yaml_map.h"
#include "server/host/socket_access.h"

namespace kinsock {

// The keys `owner`, `group` and `mode` ("0660", octal) of a map, as readers to add to its own. `access` is there as
// soon as one of them is. Both outlive the readers.
YamlMap::Readers SocketAccessReaders(YamlMap& map, std::optional<SocketAccess>& access);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_YAML_SOCKET_ACCESS_H_
