// SPDX-License-Identifier: Apache-2.0
#include "server/connection_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/connection_conversion.h"
#include "server/error.h"
#include "server/paging.h"
#include "server/proto_time.h"
#include "server/stats_conversion.h"
#include "server/status_conversion.h"
#include "server/vm_requests.h"

namespace kinsock {
namespace {

struct Request {
  uint64_t after = 0;  // the id of the last connection of the page before
  size_t size = 0;
};

absl::StatusOr<Request> Parse(const v1::ListConnectionsRequest& request, const std::string& instance) {
  KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request.page_size(), request.page_token()));
  Request parsed;
  parsed.size = page.size;
  if (!page.token.has_value()) return parsed;
  // Ids go on counting while the daemon runs: a token of this start never is too old.
  if (page.token->version.epoch != instance || !absl::SimpleAtoi(page.token->after, &parsed.after)) {
    return FieldsInvalid("", {{"page_token", "is not of this start of the daemon; list again from the first page"}});
  }
  return parsed;
}

// The id of the VM whose statistics are asked for; empty: all VMs'.
absl::StatusOr<std::string> StatsSubject(const v1::GetStatsRequest& request) {
  switch (request.scope()) {
    case v1::GetStatsRequest::SCOPE_UNSPECIFIED:
    case v1::GetStatsRequest::DAEMON:
      if (request.vm().empty()) return std::string();
      return FieldsInvalid("", {{"vm", "is for scope VM; leave it empty, or set the scope"}});
    case v1::GetStatsRequest::VM: {
      absl::StatusOr<std::string> id = ToVmId(request.vm());
      if (id.ok()) return id;
      return FieldsInvalid("", {{"vm", "is not the name of a VM; give \"vms/{vm_id}\""}});
    }
    default:
      return FieldsInvalid(
          "", {{"scope", absl::StrCat(static_cast<int>(request.scope()), " is no scope; give DAEMON or VM")}});
  }
}

}  // namespace

ConnectionService::ConnectionService(EventLoop& main, VmManager& manager, FlowSnapshots& snapshots,
                                     std::string instance, const Access& access)
    : main_(main),
      manager_(manager),
      snapshots_(snapshots),
      access_(access),
      instance_id_(std::move(instance)),
      instance_(instance_id_.substr(0, 8)) {}

grpc::ServerUnaryReactor* ConnectionService::ListConnections(grpc::CallbackServerContext* context,
                                                             const v1::ListConnectionsRequest* request,
                                                             v1::ListConnectionsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, "ConnectionService.ListConnections", reactor)) return reactor;
  const absl::StatusOr<Request> parsed = Parse(*request, instance_);
  if (!parsed.ok()) {
    reactor->Finish(ToGrpcStatus(parsed.status()));
    return reactor;
  }
  // gRPC keeps the context, the reactor and the response until Finish().
  main_.Post([this, context, reactor, response, page = *parsed] {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    snapshots_.Get([this, reactor, response, page](const FlowSnapshots::Flows& flows) {
      FillPage(flows, page.after, page.size, *response);
      reactor->Finish(grpc::Status::OK);
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ConnectionService::GetStats(grpc::CallbackServerContext* context,
                                                      const v1::GetStatsRequest* request, v1::StatsReport* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, "ConnectionService.GetStats", reactor)) return reactor;
  absl::StatusOr<std::string> id = StatsSubject(*request);
  if (!id.ok()) {
    reactor->Finish(ToGrpcStatus(id.status()));
    return reactor;
  }
  main_.Post([this, reactor, response, id = *std::move(id)] {
    const absl::StatusOr<VmStats> stats = id.empty() ? manager_.TotalStats() : manager_.Stats(id);
    if (!stats.ok()) return reactor->Finish(ToGrpcStatus(stats.status()));
    response->set_instance_id(instance_id_);
    SetTimestamp(*response->mutable_time(), std::chrono::system_clock::now());
    if (!id.empty()) response->set_vm("vms/" + id);
    *response->mutable_stats() = ToProto(*stats);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

void ConnectionService::FillPage(const FlowSnapshots::Flows& flows, uint64_t after, size_t size,
                                 v1::ListConnectionsResponse& response) {
  auto flow = std::upper_bound(flows->begin(), flows->end(), after,
                               [](uint64_t id, const FlowInfo& info) { return id < info.id; });
  for (; flow != flows->end() && size > 0; ++flow, --size) {
    const FlowVms vms{manager_.OfDevice(flow->initiator.device), manager_.OfDevice(flow->target.device)};
    *response.add_connections() = ToProto(*flow, vms, instance_);
    after = flow->id;
  }
  if (flow != flows->end()) response.set_next_page_token(PageToken{{instance_, 0}, absl::StrCat(after)}.ToString());
}

}  // namespace kinsock
