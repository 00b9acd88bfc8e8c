// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_CALL_EXIT_CODE_H_
#define KINSOCK_CLI_CALL_EXIT_CODE_H_

#include <grpcpp/support/status.h>

#include <string>

namespace kinsock {

// What kinsockctl ends with, for scripts.
enum ExitCode : int {
  kExitOk = 0,
  kExitError = 1,
  kExitUsage = 2,  // the command line was not understood; nothing was asked of the daemon
  kExitNotFound = 3,
  kExitConflict = 4,  // exists already, is in use, or changed meanwhile
  kExitDenied = 5,
  kExitUnavailable = 6,  // no daemon answers
  kExitDeadline = 124,   // as of timeout(1)
};

// The exit code for an answer of the daemon.
ExitCode ExitCodeOf(grpc::StatusCode code);

// The one of two that a script must hear of rather, when a command did several things.
ExitCode Worse(ExitCode one, ExitCode other);

// "NOT_FOUND", as gRPC spells it.
std::string StatusName(grpc::StatusCode code);

}  // namespace kinsock

#endif  // KINSOCK_CLI_CALL_EXIT_CODE_H_
