// SPDX-License-Identifier: Apache-2.0
#include "server/config/yaml_socket_access.h"

#include <cstdlib>
#include <string>

#include "server/host/user_names.h"

namespace kinsock {
namespace {

// Octal, as of chmod.
void ReadMode(YamlMap& map, const YAML::Node& value, SocketAccess& access) {
  std::string text;
  map.Text(value, "mode", text);
  char* end = nullptr;
  const unsigned long mode = std::strtoul(text.c_str(), &end, 8);
  if (text.empty() || *end != '\0' || mode > 0777) {
    return map.Say(value.Mark(), "mode", "is not a mode; write \"0660\"");
  }
  access.mode = static_cast<uint32_t>(mode);
}

}  // namespace

YamlMap::Readers SocketAccessReaders(YamlMap& map, std::optional<SocketAccess>& access) {
  const auto get = [&access]() -> SocketAccess& { return access.has_value() ? *access : access.emplace(); };
  return {{"mode", [&map, get](const YAML::Node& value) { ReadMode(map, value, get()); }},
          {"owner",
           [&map, get](const YAML::Node& value) {
             map.Text(value, "owner", get().owner);
             get().uid = UserId(get().owner);
           }},
          {"group", [&map, get](const YAML::Node& value) {
             map.Text(value, "group", get().group);
             get().gid = GroupId(get().group);
           }}};
}

}  // namespace kinsock
