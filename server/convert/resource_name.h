// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_RESOURCE_NAME_H_
#define KINSOCK_SERVER_CONVERT_RESOURCE_NAME_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "router/cid.h"

namespace kinsock {

// The parts of "forwards/{}", "networks/{}", "networks/{}/policies/{}" and "networks/{}/cids/{}"; nothing if `name` is
// none.
std::optional<std::string> ParseForwardName(std::string_view name);
std::optional<std::string> ParseNetworkName(std::string_view name);
std::optional<std::pair<std::string, std::string>> ParsePolicyName(std::string_view name);
std::optional<std::pair<std::string, Cid>> ParseCidName(std::string_view name);

// FIELD_INVALID for `field`, whose name is none. `form`: "networks/{network_id}".
absl::Status NotAName(const char* field, std::string_view name, const char* form);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_RESOURCE_NAME_H_
