// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_ENDPOINT_FAULT_H_
#define KINSOCK_CLI_CALL_ENDPOINT_FAULT_H_

#include <optional>
#include <string>

#include "cli/call/exit_code.h"

namespace kinsock {

// Why nobody can be talked to at the path of a daemon's socket, and what to do about it.
struct EndpointFault {
  ExitCode code = kExitUnavailable;
  std::string what;
  std::string next;
};

// Tries to connect, without waiting. Nothing: somebody takes connections there. Any thread.
std::optional<EndpointFault> FindEndpointFault(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_ENDPOINT_FAULT_H_
