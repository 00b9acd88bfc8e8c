// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_STATUS_STATUS_CONVERSION_H_
#define KINSOCK_SERVER_STATUS_STATUS_CONVERSION_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace kinsock {

// `status` as gRPC sends it: code, message, and the payloads that server/status/error.h attached as a google.rpc.Status
// in the trailer "grpc-status-details-bin", where every client library looks for it.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_STATUS_STATUS_CONVERSION_H_
