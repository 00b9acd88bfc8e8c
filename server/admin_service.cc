// SPDX-License-Identifier: Apache-2.0
#include "server/admin_service.h"

#include <utility>

#include "device/device_spec.h"
#include "server/api_limits.h"
#include "server/event_hub.h"
#include "server/proto_time.h"
#include "server/version.h"
#include "server/vm_manager.h"

namespace kinsock {
namespace {

// Grows with every release; nothing is ever taken out.
constexpr const char* kFeatures[] = {
    "vm.create", "vm.delete",     "vm.list", "vm.watch",        "vm.update",     "vm.apply",
    "vm.drain",  "vm.reset",      "vm.wait", "vm.filter",       "vm.orphan_ttl", "cid.static",
    "cid.range", "cid.automatic", "uds",     "connection.list", "stats",
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
}

}  // namespace

AdminService::AdminService(EventLoop& main, std::function<DaemonInfo()> look, const Access& access)
    : main_(main), look_(std::move(look)), access_(access) {}

grpc::ServerUnaryReactor* AdminService::GetInfo(grpc::CallbackServerContext* context, const v1::GetInfoRequest*,
                                                v1::Info* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, "AdminService.GetInfo", reactor)) return reactor;
  main_.Post([this, reactor, response] {
    const DaemonInfo info = look_();
    response->set_version(kVersion);
    response->set_instance_id(info.instance_id);
    SetTimestamp(*response->mutable_start_time(), info.start_time);
    for (const char* feature : kFeatures) response->add_features(feature);
    SetLimits(*response->mutable_limits());
    SetCounts(info, *response->mutable_counts());
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

}  // namespace kinsock
