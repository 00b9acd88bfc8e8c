// SPDX-License-Identifier: Apache-2.0
#include "server/service/admin_service.h"

#include <string>
#include <utility>
#include <vector>

#include "base/version.h"
#include "device/device_spec.h"
#include "server/convert/proto_time.h"
#include "server/host/log.h"
#include "server/manager/event_hub.h"
#include "server/manager/vm_manager.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/ring_watch.h"
#include "server/service/dump_call.h"
#include "server/service/reload_conversion.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

// Grows with every release; nothing is ever taken out.
constexpr const char* kFeatures[] = {
    "vm.create",         "vm.delete",        "connection.tunnel",  "vm.list",       "vm.watch",       "vm.update",
    "vm.apply",          "vm.drain",         "vm.reset",           "vm.wait",       "vm.filter",      "vm.orphan_ttl",
    "cid.static",        "cid.range",        "cid.automatic",      "uds",           "stats",          "connection.list",
    "connection.closed", "connection.reset", "stats.pairs",        "stats.stream",  "node.drain",     "log.level",
    "event.watch",       "connection.watch", "connection.rates",   "info.reactors", "event.trace_id", "config.reload",
    "config.dump",       "managed_by",       "connection.capture",
};

void SetLimits(v1::Limits& out) {
  out.set_vms(VmManager::kMaxVms);
  out.set_watches(EventHub::Limits().max_subscribers);
  out.set_watches_per_caller(kMaxWatchesPerCaller);
  out.set_api_connections_per_uid(kMaxApiConnectionsPerUid);
  out.set_request_bytes(kMaxRequestBytes);
  out.set_connections_per_vm(DeviceLimits().max_connections);
  out.set_buffered_bytes_per_vm(DeviceLimits().max_buffered_bytes);
}

void SetCounts(const DaemonInfo& info, v1::Counts& out) {
  out.set_vms(info.vms);
  out.set_active_vms(info.active_vms);
  out.set_watches(info.watches);
  out.set_api_connections(info.api_connections);
  out.set_quarantined_cids(info.quarantined_cids);
  out.set_reactors(info.reactors);
  out.set_tunnels(info.tunnels);
}

void AddReactor(const DaemonInfo::Reactor& reactor, v1::Info& out) {
  const ReactorActivity& activity = reactor.info.activity;
  v1::Reactor& row = *out.add_reactors();
  row.set_index(static_cast<uint32_t>(out.reactors_size() - 1));
  row.set_thread_id(activity.thread);
  row.set_vms(static_cast<uint32_t>(reactor.info.devices));
  row.set_connections(reactor.connections);
  SetDuration(*row.mutable_cpu_time(), activity.cpu_time);
  row.set_sleeps(activity.sleeps);
  SetDuration(*row.mutable_since_last_round(), activity.since_round);
  row.set_asleep(activity.asleep);
}

constexpr std::chrono::seconds kMinLevelTime{1};
constexpr std::chrono::hours kMaxLevelTime{24};
constexpr size_t kMaxReasonBytes = 256;
// In the audit.
constexpr char kDaemon[] = "daemon";

struct LevelChange {
  LogLevel level = LogLevel::kInfo;
  std::optional<std::chrono::nanoseconds> time;
};

absl::StatusOr<LevelChange> ToLevelChange(const v1::SetLogLevelRequest& request) {
  LevelChange change;
  std::vector<FieldViolation> violations;
  switch (request.level()) {
    case v1::SetLogLevelRequest::INFO:
      break;
    case v1::SetLogLevelRequest::WARNING:
      change.level = LogLevel::kWarning;
      break;
    case v1::SetLogLevelRequest::ERROR:
      change.level = LogLevel::kError;
      break;
    default:
      violations.push_back({"level", "is no level; give INFO, WARNING or ERROR"});
  }
  if (request.has_duration()) {
    change.time = ToNanoseconds(request.duration());
    if (!change.time.has_value() || *change.time < kMinLevelTime || *change.time > kMaxLevelTime) {
      violations.push_back({"duration", "is not from 1 s to 24 h"});
    }
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return change;
}

// For the audit: the call has answered, and nothing has changed.
absl::Status ConfigIsWrong(const ReloadReport& report) {
  return Error(absl::StatusCode::kFailedPrecondition, "CONFIG_INVALID",
               report.problems.empty() ? "the file is wrong" : report.problems.front().ToString());
}

}  // namespace

AdminService::AdminService(EventLoop& main, Hooks hooks, const Access& access, Audit& audit, EventLog& events)
    : main_(main),
      hooks_(std::move(hooks)),
      access_(access),
      audit_(audit),
      calls_(main, access, audit),
      events_(events),
      first_level_(CurrentLogLevel()) {}

grpc::ServerUnaryReactor* AdminService::GetInfo(grpc::CallbackServerContext* context, const v1::GetInfoRequest* request,
                                                v1::Info* response) {
  return calls_.Answer("AdminService.GetInfo", context, *request, *response, [this, response] {
    Describe(*response);
    return absl::OkStatus();
  });
}

void AdminService::Describe(v1::Info& out) const {
  const DaemonInfo info = hooks_.look();
  out.set_version(kVersion);
  out.set_instance_id(info.instance_id);
  SetTimestamp(*out.mutable_start_time(), info.start_time);
  for (const char* feature : kFeatures) out.add_features(feature);
  SetLimits(*out.mutable_limits());
  SetCounts(info, *out.mutable_counts());
  out.set_draining(info.draining);
  for (const DaemonInfo::Reactor& reactor_info : info.each_reactor) AddReactor(reactor_info, out);
}

grpc::ServerUnaryReactor* AdminService::SetLogLevel(grpc::CallbackServerContext* context,
                                                    const v1::SetLogLevelRequest* request,
                                                    google::protobuf::Empty* response) {
  UnaryCall* const call = calls_.Admit("AdminService.SetLogLevel", context, *request, *response);
  if (call->ended()) return call;
  const absl::StatusOr<LevelChange> change = ToLevelChange(*request);
  if (!change.ok()) {
    audit_.Mutation(*context, "AdminService.SetLogLevel", kDaemon, change.status());
    call->End(change.status());
    return call;
  }
  call->WhenItsTurn([this, context, call, request, change = *change] {
    if (level_timer_.has_value()) main_.Cancel(*level_timer_);
    level_timer_.reset();
    const std::string name = v1::SetLogLevelRequest::Level_Name(request->level());
    // At the higher of the two levels, whichever it is: a log that falls silent says why.
    Log(LogLevel::kError, "log.level").With("level", name);
    kinsock::SetLogLevel(change.level);
    if (change.time.has_value()) {
      level_timer_ = main_.RunAfter(*change.time, [this] {
        level_timer_.reset();
        kinsock::SetLogLevel(first_level_);
        Log(LogLevel::kError, "log.level").With("reason", "its time is over");
      });
    }
    audit_.Mutation(*context, "AdminService.SetLogLevel", kDaemon, absl::OkStatus(), {{"level", name}});
    call->End(absl::OkStatus());
  });
  return call;
}

grpc::ServerUnaryReactor* AdminService::Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                                              google::protobuf::Empty* response) {
  UnaryCall* const call = calls_.Admit("AdminService.Drain", context, *request, *response);
  if (call->ended()) return call;
  if (request->reason().size() > kMaxReasonBytes) {
    const absl::Status fault = FieldsInvalid("", {{"reason", "has more than 256 bytes; shorten it"}});
    audit_.Mutation(*context, "AdminService.Drain", kDaemon, fault);
    call->End(fault);
    return call;
  }
  call->WhenItsTurn([this, context, call, request] {
    hooks_.set_draining(!request->undo());
    Log(LogLevel::kWarning, request->undo() ? "node.drain_undone" : "node.draining").With("reason", request->reason());
    audit_.Mutation(*context, "AdminService.Drain", kDaemon, absl::OkStatus(),
                    {{"undo", request->undo() ? "true" : "false"}, {"why", request->reason()}});
    call->End(absl::OkStatus());
  });
  return call;
}

grpc::ServerUnaryReactor* AdminService::Reload(grpc::CallbackServerContext* context, const v1::ReloadRequest* request,
                                               v1::ReloadResponse* response) {
  UnaryCall* const call = calls_.Admit("AdminService.Reload", context, *request, *response);
  if (call->ended()) return call;
  call->WhenItsTurn([this, context, call, request, response] {
    const ReloadRequest wanted{.validate_only = request->validate_only(), .force = request->force()};
    hooks_.reload(wanted, [this, context, call, response, wanted](const absl::StatusOr<ReloadReport>& report) {
      if (!wanted.validate_only) {
        const absl::Status result = report.ok() && !report->applied ? ConfigIsWrong(*report) : report.status();
        audit_.Mutation(*context, "AdminService.Reload", kDaemon, result, {{"force", wanted.force ? "true" : ""}});
      }
      if (report.ok()) *response = ToProto(*report);
      call->End(report.status());
    });
  });
  return call;
}

grpc::ServerWriteReactor<v1::ConfigDump>* AdminService::DumpConfig(grpc::CallbackServerContext* context,
                                                                   const v1::DumpConfigRequest* request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "AdminService.DumpConfig");
  if (!ticket.ok()) return new RefusedStream<v1::ConfigDump>(ToGrpcStatus(ticket.status()));
  return DumpCall::Start(main_, hooks_.look_at_config, open_dumps_, request->file_only(), *std::move(ticket));
}

grpc::ServerWriteReactor<v1::Event>* AdminService::WatchEvents(grpc::CallbackServerContext* context,
                                                               const v1::WatchRequest* request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "AdminService.WatchEvents");
  if (!ticket.ok()) return new RefusedStream<v1::Event>(ToGrpcStatus(ticket.status()));
  return RingWatch<v1::Event, EventLog::Entry>::Start(main_, events_.source(), *request, *std::move(ticket));
}

}  // namespace kinsock
