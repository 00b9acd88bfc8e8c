// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/socket_access_flags.h"

#include <cstdint>
#include <cstdlib>

namespace kinsock {

void SocketAccessFlags::Add(CLI::App& app, const std::string& prefix) {
  app.add_option(prefix + "mode", mode, "Permissions of the socket, by default 0660")->option_text("0660");
  app.add_option(prefix + "owner", owner, "User whose it is, by default the daemon's")->option_text("USER");
  app.add_option(prefix + "group", group, "Group whose it is, by default the daemon's")->option_text("GROUP");
}

bool SocketAccessFlags::Fill(v1::SocketAccess& access) const {
  access.set_owner(owner);
  access.set_group(group);
  if (mode.empty()) return true;
  char* end = nullptr;
  const unsigned long number = std::strtoul(mode.c_str(), &end, 8);
  if (*end != '\0' || number > 0777) return false;
  access.set_mode(static_cast<uint32_t>(number));
  return true;
}

}  // namespace kinsock
