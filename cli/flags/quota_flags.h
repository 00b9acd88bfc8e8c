// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_QUOTA_FLAGS_H_
#define KINSOCK_CLI_FLAGS_QUOTA_FLAGS_H_

#include <string>
#include <vector>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// Puts "LIMIT=VALUE" or, for a rate, "LIMIT=RATE/BURST" of each flag into `quota`, and the names of the limits into
// `limits`. Numbers may end with k, M, G (thousands) or Ki, Mi, Gi. Empty, or what is wrong.
std::string ParseQuota(const std::vector<std::string>& flags, v1::Quota& quota, std::vector<std::string>& limits);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_QUOTA_FLAGS_H_
