// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RESOURCE_NAME_H_
#define KINSOCK_SERVER_RESOURCE_NAME_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "router/cid.h"

namespace kinsock {

// The parts of "networks/{}", "networks/{}/policies/{}" and "networks/{}/cids/{}"; nothing if `name` is none.
std::optional<std::string> ParseNetworkName(std::string_view name);
std::optional<std::pair<std::string, std::string>> ParsePolicyName(std::string_view name);
std::optional<std::pair<std::string, Cid>> ParseCidName(std::string_view name);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RESOURCE_NAME_H_
