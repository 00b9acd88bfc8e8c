// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_CONNECTION_SERVICE_H_
#define KINSOCK_SERVER_SERVICE_CONNECTION_SERVICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/connection_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/convert/connection_conversion.h"
#include "server/convert/connection_query.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_manager.h"
#include "server/reactors/flow_snapshots.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/unary_calls.h"
#include "server/service/captures.h"
#include "server/service/connection_feed.h"
#include "server/service/stats_reader.h"
#include "server/service/stats_stream.h"
#include "server/service/tunnels.h"

namespace kinsock {

// kinsock.v1.ConnectionService: posts to main, which asks the reactors, and finishes from there.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class ConnectionService final : public v1::ConnectionService::CallbackService {
 public:
  // The beginning of the id of this start of the daemon, which is part of connections' names: they should stay short.
  static std::string ShortInstance(const std::string& instance) { return instance.substr(0, 8); }

  // `instance`: id of this start of the daemon, 8 characters or more.
  // `capture_payload`: Captures::Environment::payload_allowed.
  ConnectionService(EventLoop& main, VmManager& manager, NetworkManager& networks, ReactorPool& pool,
                    FlowSnapshots& snapshots, std::string instance, const Access& access, Audit& audit,
                    bool capture_payload);

  grpc::ServerUnaryReactor* ListConnections(grpc::CallbackServerContext* context,
                                            const v1::ListConnectionsRequest* request,
                                            v1::ListConnectionsResponse* response) override;
  grpc::ServerUnaryReactor* ResetConnection(grpc::CallbackServerContext* context,
                                            const v1::ResetConnectionRequest* request,
                                            v1::Connection* response) override;
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* context, const v1::GetStatsRequest* request,
                                     v1::StatsReport* response) override;
  grpc::ServerWriteReactor<v1::StatsReport>* StreamStats(grpc::CallbackServerContext* context,
                                                         const v1::StreamStatsRequest* request) override;

  grpc::ServerWriteReactor<v1::WatchConnectionsResponse>* WatchConnections(
      grpc::CallbackServerContext* context, const v1::WatchConnectionsRequest* request) override;

  grpc::ServerWriteReactor<v1::CaptureChunk>* Capture(grpc::CallbackServerContext* context,
                                                      const v1::CaptureRequest* request) override;

  grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame>* Tunnel(grpc::CallbackServerContext* context) override;

  // Ends all streams, and refuses new ones. Main thread.
  void Close(const absl::Status& reason) {
    streams_.Close(reason);
    feed_.Close(reason);
    captures_.Close(reason);
    tunnels_.Close(reason);
  }

  // Main thread: what ListConnections and GetStats answer to a caller who may see, at once or later. By rate, the order
  // is that of the rates as they are known; nobody waits for new ones.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;
  void Read(const v1::ListConnectionsRequest& request, Done<v1::ListConnectionsResponse> done);
  void Read(const v1::GetStatsRequest& request, Done<v1::StatsReport> done);

  // Watches of connections that are open. Main thread.
  size_t watches() const { return feed_.watches(); }
  uint64_t lagged_watches() const { return feed_.lagged_watches(); }
  // Likewise.
  const Captures& captures() const { return captures_; }
  // Open tunnels. Any thread.
  size_t tunnels() const { return tunnels_.size(); }

 private:
  FlowVms VmsOf(const FlowInfo& flow) const;
  void Answer(const ConnectionQuery& query, const std::vector<FlowInfo>& flows, v1::ListConnectionsResponse& response);
  void List(ConnectionQuery query, v1::ListConnectionsResponse* response, EventLoop::Task done, bool again);
  void FindForReset(uint64_t id, const v1::ResetConnectionRequest& request, v1::Connection& response, UnaryCall* call);
  void AuditReset(const grpc::CallbackServerContext& context, const v1::ResetConnectionRequest& request,
                  const absl::Status& status);
  void FillPage(const std::vector<FlowInfo>& flows, const ConnectionQuery& query,
                v1::ListConnectionsResponse& response);
  void FillLargest(const std::vector<FlowInfo>& flows, const ConnectionQuery& query,
                   v1::ListConnectionsResponse& response);

  EventLoop& main_;
  VmManager& manager_;        // main thread's
  ReactorPool& pool_;         // main thread's
  FlowSnapshots& snapshots_;  // main thread's
  const Access& access_;
  Audit& audit_;
  UnaryCalls calls_;
  const std::string instance_id_;
  const std::string instance_;  // ShortInstance()
  StatsReader reader_;          // main thread's
  StatsStream::Set streams_;    // main thread's
  ConnectionFeed feed_;         // main thread's
  Captures captures_;           // main thread's
  Tunnels tunnels_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_CONNECTION_SERVICE_H_
