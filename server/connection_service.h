// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONNECTION_SERVICE_H_
#define KINSOCK_SERVER_CONNECTION_SERVICE_H_

#include <string>

#include "absl/status/status.h"
#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/access.h"
#include "server/flow_snapshots.h"
#include "server/vm_manager.h"

namespace kinsock {

// kinsock.v1.ConnectionService: posts to main, which asks the reactors, and finishes from there.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class ConnectionService final : public v1::ConnectionService::CallbackService {
 public:
  // `instance`: id of this start of the daemon, 8 characters or more.
  ConnectionService(EventLoop& main, VmManager& manager, FlowSnapshots& snapshots, std::string instance,
                    const Access& access);

  grpc::ServerUnaryReactor* ListConnections(grpc::CallbackServerContext* context,
                                            const v1::ListConnectionsRequest* request,
                                            v1::ListConnectionsResponse* response) override;
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* context, const v1::GetStatsRequest* request,
                                     v1::StatsReport* response) override;

 private:
  void FillPage(const FlowSnapshots::Flows& flows, uint64_t after, size_t size, v1::ListConnectionsResponse& response);

  EventLoop& main_;
  VmManager& manager_;        // main thread's
  FlowSnapshots& snapshots_;  // main thread's
  const Access& access_;
  const std::string instance_id_;
  const std::string instance_;  // its beginning, which is part of connections' names: they should stay short
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONNECTION_SERVICE_H_
