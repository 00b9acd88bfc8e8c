// SPDX-License-Identifier: Apache-2.0
#include "cli/call/exit_code.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

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

const char* StatusName(grpc::StatusCode code) {
  constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto number = static_cast<size_t>(code);
  return number < std::size(kNames) ? kNames[number] : "an unknown status";
}

}  // namespace kinsock
