// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_FORWARD_RECORD_H_
#define KINSOCK_SERVER_STORE_FORWARD_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/model/forward_spec.h"

namespace kinsock {

// Forwards as they stand in the state file: the API's messages, serialized. Any thread, but see UserId().

std::string ToRecord(const ForwardDefinition& forward);

// DATA_LOSS, saying what it is not. Users and groups that are no more are no damage.
absl::StatusOr<ForwardDefinitionPtr> ForwardFromRecord(std::string_view record);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_FORWARD_RECORD_H_
