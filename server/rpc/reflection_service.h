// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_REFLECTION_SERVICE_H_
#define KINSOCK_SERVER_RPC_REFLECTION_SERVICE_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/rpc/watch_quota.h"

namespace kinsock {

// The place of one stream, or why there is none. Null: nobody counts.
using AdmitSchema = std::function<absl::StatusOr<WatchQuota::Ticket>(const grpc::CallbackServerContext&)>;

// grpc.reflection.v1 and v1alpha, through which grpcurl and its like learn the API. Not gRPC's own: that one gives the
// files without their comments, knows v1alpha only, and holds a thread for each stream that a client leaves open.
//
// Thread: any (gRPC's).
std::vector<std::unique_ptr<grpc::Service>> MakeReflectionServices(AdmitSchema admit = nullptr);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_REFLECTION_SERVICE_H_
