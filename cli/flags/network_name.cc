// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/network_name.h"

namespace kinsock {

std::string FullNetworkName(const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : "networks/" + name;
}

void AddNetworkFlag(CLI::App& app, std::string& name) {
  app.add_option("--net", name, "The network, by default \"default\"")->option_text("NAME");
}

}  // namespace kinsock
