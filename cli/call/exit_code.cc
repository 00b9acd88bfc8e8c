// SPDX-License-Identifier: Apache-2.0
#include "cli/call/exit_code.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"

namespace kinsock {

ExitCode ExitCodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return kExitOk;
    case grpc::StatusCode::NOT_FOUND:
      return kExitNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
      return kExitConflict;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return kExitDenied;
    case grpc::StatusCode::UNAVAILABLE:
      return kExitUnavailable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return kExitDeadline;
    default:
      return kExitError;
  }
}

ExitCode Worse(ExitCode one, ExitCode other) {
  // From what one object has to what all of them would have.
  constexpr ExitCode kOrder[] = {kExitOk,       kExitConflict, kExitNotFound, kExitError,
                                 kExitDeadline, kExitUsage,    kExitDenied,   kExitUnavailable};
  const auto place = [&](ExitCode code) { return std::find(std::begin(kOrder), std::end(kOrder), code); };
  return place(one) < place(other) ? other : one;
}

// Abseil's codes have the numbers and the names of gRPC's.
std::string StatusName(grpc::StatusCode code) {
  const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
  return name.empty() ? "an unknown status" : name;
}

}  // namespace kinsock
