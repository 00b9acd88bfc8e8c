// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STORE_DEFINITION_RECORD_H_
#define KINSOCK_SERVER_STORE_DEFINITION_RECORD_H_

#include <chrono>

#include "absl/status/status.h"
#include "server/model/network.h"

namespace kinsock {

// What all definitions have in the state file. DATA_LOSS, saying what is missing.
template <typename Message>
absl::Status FillBase(const Message& message, DefinitionBase& base) {
  if (message.uid().empty() || message.generation() < 1) return absl::DataLossError("lacks uid or generation");
  base.uid = message.uid();
  base.generation = message.generation();
  base.create_time =
      std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(message.create_time().seconds()) +
          std::chrono::nanoseconds(message.create_time().nanos())));
  return absl::OkStatus();
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STORE_DEFINITION_RECORD_H_
