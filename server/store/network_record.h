// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_NETWORK_RECORD_H_
#define KINSOCK_SERVER_STORE_NETWORK_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/model/network.h"

namespace kinsock {

// Networks and policies as they stand in the state file: the API's messages, serialized. Pure functions; any thread.

std::string ToRecord(const NetworkDefinition& network);
std::string ToRecord(const PolicyDefinition& policy);

// DATA_LOSS, saying what it is not.
absl::StatusOr<NetworkDefinitionPtr> NetworkFromRecord(std::string_view record);
absl::StatusOr<PolicyDefinitionPtr> PolicyFromRecord(std::string_view record);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_NETWORK_RECORD_H_
