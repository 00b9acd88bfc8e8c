// SPDX-License-Identifier: Apache-2.0
#include "server/service/connection_service.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/convert/proto_time.h"
#include "server/convert/vm_requests.h"
#include "server/host/log.h"
#include "server/model/resource_version.h"
#include "server/rpc/ring_watch.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

constexpr size_t kMaxReasonBytes = 256;

absl::Status CheckReset(const v1::ResetConnectionRequest& request) {
  if (request.reason().size() <= kMaxReasonBytes) return absl::OkStatus();
  return FieldsInvalid("", {{"reason", absl::StrCat("has ", request.reason().size(), " bytes, at most ",
                                                    kMaxReasonBytes, " are taken; shorten it")}});
}

// Why `flow`, which is closed, cannot be reset; OK: it has been, before or now.
absl::Status CheckWasReset(const FlowInfo& flow, const std::string& name) {
  if (flow.close_reason == CloseReason::kAdminReset) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "CONNECTION_CLOSED",
               absl::StrCat(name, " has ended already: ", CloseReasonName(flow.close_reason)))
      .With("close_reason", CloseReasonName(flow.close_reason))
      .Resource("kinsock.v1.Connection", name);
}

// By rate, no mean over a longer time is taken for that of now.
constexpr std::chrono::seconds kMaxOrderInterval{5};

// What the order goes by.
uint64_t Rank(const FlowInfo& flow, ConnectionQuery::Order order) {
  return order == ConnectionQuery::Order::kByRate ? flow.to_target.bytes_per_second + flow.to_initiator.bytes_per_second
                                                  : flow.to_target.bytes + flow.to_initiator.bytes;
}

}  // namespace

ConnectionService::ConnectionService(EventLoop& main, VmManager& manager, NetworkManager& networks, ReactorPool& pool,
                                     FlowSnapshots& snapshots, std::string instance, const Access& access, Audit& audit,
                                     bool capture_payload)
    : main_(main),
      manager_(manager),
      pool_(pool),
      snapshots_(snapshots),
      access_(access),
      audit_(audit),
      calls_(main, access, audit),
      instance_id_(std::move(instance)),
      instance_(ShortInstance(instance_id_)),
      reader_(main, manager, pool, instance_id_),
      feed_(
          main, snapshots, [this](const FlowInfo& flow) { return VmsOf(flow); }, instance_),
      captures_({.main = main,
                 .manager = manager,
                 .networks = networks,
                 .pool = pool,
                 .access = access,
                 .audit = audit,
                 .payload_allowed = capture_payload}),
      tunnels_(
          {.main = main, .manager = manager, .pool = pool, .access = access, .audit = audit, .instance = instance_}) {}

grpc::ServerUnaryReactor* ConnectionService::ListConnections(grpc::CallbackServerContext* context,
                                                             const v1::ListConnectionsRequest* request,
                                                             v1::ListConnectionsResponse* response) {
  UnaryCall* const call = calls_.Admit("ConnectionService.ListConnections", context, *request, *response);
  if (call->ended()) return call;
  absl::StatusOr<ConnectionQuery> query = ToConnectionQuery(*request, instance_);
  if (!query.ok()) {
    call->End(query.status());
    return call;
  }
  call->WhenItsTurn([this, call, response, query = *std::move(query)]() mutable {
    List(
        std::move(query), response, [call] { call->End(absl::OkStatus()); }, false);
  });
  return call;
}

void ConnectionService::Read(const v1::ListConnectionsRequest& request, Done<v1::ListConnectionsResponse> done) {
  absl::StatusOr<ConnectionQuery> query = ToConnectionQuery(request, instance_);
  if (!query.ok()) return done(query.status());
  auto response = std::make_shared<v1::ListConnectionsResponse>();
  v1::ListConnectionsResponse* into = response.get();
  List(
      *std::move(query), into,
      [response = std::move(response), done = std::move(done)]() mutable { done(std::move(*response)); }, true);
}

// `again`: it has been measured for this. `response` is there until `done` has run.
void ConnectionService::List(ConnectionQuery query, v1::ListConnectionsResponse* response, EventLoop::Task done,
                             bool again) {
  const auto which = query.wants_closed() ? ReactorPool::Flows::kWithClosed : ReactorPool::Flows::kOpen;
  snapshots_.Get(which, [this, response, again, query = std::move(query),
                         done = std::move(done)](const FlowSnapshots::Flows& flows) mutable {
    const std::chrono::nanoseconds measured = snapshots_.rates().interval();
    const bool rates_are_good = measured.count() > 0 && measured <= kMaxOrderInterval;
    if (query.order == ConnectionQuery::Order::kByRate && !rates_are_good && !again) {
      main_.RunAfter(FlowRates::kMinInterval,
                     [this, response, query = std::move(query), done = std::move(done)]() mutable {
                       List(std::move(query), response, std::move(done), true);
                     });
      return;
    }
    // Each on its own: this is the end of one look at all connections, for which any number of calls may have waited.
    main_.Post([this, response, flows, query = std::move(query), done = std::move(done)]() mutable {
      Answer(query, *flows, *response);
      done();
    });
  });
}

void ConnectionService::Answer(const ConnectionQuery& query, const std::vector<FlowInfo>& flows,
                               v1::ListConnectionsResponse& response) {
  query.order == ConnectionQuery::Order::kById ? FillPage(flows, query, response) : FillLargest(flows, query, response);
  response.set_forgotten(pool_.forgotten_flows());
  const FlowRates& rates = snapshots_.rates();
  if (rates.interval().count() > 0) SetDuration(*response.mutable_rate_interval(), rates.interval());
  response.set_unmeasured(rates.unmeasured());
}

grpc::ServerUnaryReactor* ConnectionService::ResetConnection(grpc::CallbackServerContext* context,
                                                             const v1::ResetConnectionRequest* request,
                                                             v1::Connection* response) {
  UnaryCall* const call = calls_.Admit("ConnectionService.ResetConnection", context, *request, *response);
  if (call->ended()) return call;
  const absl::StatusOr<uint64_t> id = ToFlowId(request->name(), instance_);
  if (absl::Status fault = id.ok() ? CheckReset(*request) : id.status(); !fault.ok()) {
    if (!request->validate_only()) AuditReset(*context, *request, fault);
    call->End(fault);
    return call;
  }
  call->WhenItsTurn([this, context, call, request, response, id = *id] {
    if (request->validate_only()) return FindForReset(id, *request, *response, call);
    pool_.ResetFlow(
        id, CloseReason::kAdminReset, [this, context, call, request, response](const std::optional<FlowInfo>& flow) {
          absl::Status status =
              flow.has_value() ? CheckWasReset(*flow, request->name()) : ConnectionNotFound(request->name());
          if (status.ok()) {
            *response = ToProto(*flow, VmsOf(*flow), instance_);
            Log(LogLevel::kInfo, "connection.reset")
                .With("connection", request->name())
                .With("initiator", response->initiator().vm())
                .With("target", response->target().vm())
                .With("reason", request->reason());
          }
          AuditReset(*context, *request, status);
          call->End(status);
        });
  });
  return call;
}

void ConnectionService::AuditReset(const grpc::CallbackServerContext& context,
                                   const v1::ResetConnectionRequest& request, const absl::Status& status) {
  audit_.Mutation(context, "ConnectionService.ResetConnection", request.name(), status, {{"why", request.reason()}});
}

// What a reset would meet.
void ConnectionService::FindForReset(uint64_t id, const v1::ResetConnectionRequest& request, v1::Connection& response,
                                     UnaryCall* call) {
  snapshots_.Get(ReactorPool::Flows::kWithClosed, [this, id, &request, &response,
                                                   call](const FlowSnapshots::Flows& flows) {
    const auto flow = std::find_if(flows->begin(), flows->end(), [id](const FlowInfo& info) { return info.id == id; });
    if (flow == flows->end()) return call->End(ConnectionNotFound(request.name()));
    response = ToProto(*flow, VmsOf(*flow), instance_);
    const bool open = flow->state != FlowInfo::State::kClosed;
    call->End(open ? absl::OkStatus() : CheckWasReset(*flow, request.name()));
  });
}

grpc::ServerUnaryReactor* ConnectionService::GetStats(grpc::CallbackServerContext* context,
                                                      const v1::GetStatsRequest* request, v1::StatsReport* response) {
  UnaryCall* const call = calls_.Admit("ConnectionService.GetStats", context, *request, *response);
  if (call->ended()) return call;
  absl::StatusOr<StatsQuestion> question = ToStatsQuestion(*request);
  if (!question.ok()) {
    call->End(question.status());
    return call;
  }
  call->WhenItsTurn([this, call, response, question = *std::move(question)] {
    reader_.Read(question, [this, call, response, question](const absl::StatusOr<StatsReading>& reading) {
      if (reading.ok()) *response = reader_.Report(*reading, nullptr, question);
      call->End(reading.status());
    });
  });
  return call;
}

void ConnectionService::Read(const v1::GetStatsRequest& request, Done<v1::StatsReport> done) {
  const absl::StatusOr<StatsQuestion> question = ToStatsQuestion(request);
  if (!question.ok()) return done(question.status());
  reader_.Read(*question, [this, done = std::move(done),
                           question = *question](const absl::StatusOr<StatsReading>& reading) mutable {
    if (!reading.ok()) return done(reading.status());
    done(reader_.Report(*reading, nullptr, question));
  });
}

grpc::ServerWriteReactor<v1::StatsReport>* ConnectionService::StreamStats(grpc::CallbackServerContext* context,
                                                                          const v1::StreamStatsRequest* request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "ConnectionService.StreamStats");
  if (!ticket.ok()) return new RefusedStream<v1::StatsReport>(ToGrpcStatus(ticket.status()));
  return StatsStream::Start(main_, reader_, streams_, *request, *std::move(ticket));
}

grpc::ServerWriteReactor<v1::WatchConnectionsResponse>* ConnectionService::WatchConnections(
    grpc::CallbackServerContext* context, const v1::WatchConnectionsRequest* request) {
  using Response = v1::WatchConnectionsResponse;
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "ConnectionService.WatchConnections");
  if (!ticket.ok()) return new RefusedStream<Response>(ToGrpcStatus(ticket.status()));
  absl::StatusOr<ConnectionQuery> query = ToConnectionQuery(*request);
  if (!query.ok()) return new RefusedStream<Response>(ToGrpcStatus(query.status()));
  v1::WatchRequest from;
  from.set_resource_version(request->resource_version());
  if (request->has_bookmark_interval()) *from.mutable_bookmark_interval() = request->bookmark_interval();
  return RingWatch<Response, ConnectionFeed::Entry>::Start(main_, feed_.source(*std::move(query)), from,
                                                           *std::move(ticket));
}

grpc::ServerWriteReactor<v1::CaptureChunk>* ConnectionService::Capture(grpc::CallbackServerContext* context,
                                                                       const v1::CaptureRequest* request) {
  return captures_.Start(*context, *request);
}

grpc::ServerBidiReactor<v1::TunnelFrame, v1::TunnelFrame>* ConnectionService::Tunnel(
    grpc::CallbackServerContext* context) {
  return tunnels_.Start(*context);
}

FlowVms ConnectionService::VmsOf(const FlowInfo& flow) const {
  return {manager_.OfDevice(flow.initiator.device), manager_.OfDevice(flow.target.device)};
}

void ConnectionService::FillPage(const std::vector<FlowInfo>& flows, const ConnectionQuery& query,
                                 v1::ListConnectionsResponse& response) {
  auto flow = std::upper_bound(flows.begin(), flows.end(), query.after,
                               [](uint64_t id, const FlowInfo& info) { return id < info.id; });
  size_t left = query.size;
  uint64_t last = query.after;
  for (; flow != flows.end(); ++flow) {
    const FlowVms vms = VmsOf(*flow);
    if (!query.Matches(*flow, vms)) continue;
    if (left-- == 0) return response.set_next_page_token(PageToken{{instance_, 0}, absl::StrCat(last)}.ToString());
    *response.add_connections() = ToProto(*flow, vms, instance_);
    last = flow->id;
  }
}

void ConnectionService::FillLargest(const std::vector<FlowInfo>& flows, const ConnectionQuery& query,
                                    v1::ListConnectionsResponse& response) {
  std::vector<const FlowInfo*> matching;
  for (const FlowInfo& flow : flows) {
    if (query.Matches(flow, VmsOf(flow))) matching.push_back(&flow);
  }
  const size_t count = std::min(query.size, matching.size());
  std::partial_sort(matching.begin(), matching.begin() + static_cast<std::ptrdiff_t>(count), matching.end(),
                    [order = query.order](const FlowInfo* a, const FlowInfo* b) {
                      const uint64_t of_a = Rank(*a, order), of_b = Rank(*b, order);
                      return of_a != of_b ? of_a > of_b : a->id < b->id;
                    });
  for (size_t i = 0; i < count; ++i) {
    *response.add_connections() = ToProto(*matching[i], VmsOf(*matching[i]), instance_);
  }
}

}  // namespace kinsock
