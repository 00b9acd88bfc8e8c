// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/network_name.h"

namespace kinsock {

std::string FullNetworkName(const std::string& name) {
  return name.rfind("networks/", 0) == 0 ? name : "networks/" + name;
}

}  // namespace kinsock
