// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_NETWORK_NAME_H_
#define KINSOCK_CLI_FLAGS_NETWORK_NAME_H_

#include <CLI/CLI.hpp>
#include <string>

namespace kinsock {

// "networks/lab" for "lab", and for itself.
std::string FullNetworkName(const std::string& name);

// --net, in which network something is. `name` outlives the parsing.
void AddNetworkFlag(CLI::App& app, std::string& name);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_NETWORK_NAME_H_
