// SPDX-License-Identifier: Apache-2.0
#include "server/service/vm_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/convert/paging.h"
#include "server/convert/stats_conversion.h"
#include "server/convert/vm_conversion.h"
#include "server/convert/vm_requests.h"
#include "server/model/resource_version.h"
#include "server/model/vm_filter.h"
#include "server/service/vm_watch.h"
#include "server/service/wait_call.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

absl::StatusOr<bool> IsFull(v1::View view) {
  if (v1::View_IsValid(view)) return view == v1::FULL;
  return FieldsInvalid("", {{"view", absl::StrCat(static_cast<int>(view), " is no view; give BASIC or FULL")}});
}

// Whom a request is about, for the audit; what a client has called so need not exist.
std::string ObjectOf(const v1::CreateVmRequest& request) { return absl::StrCat("vms/", request.vm_id()); }
std::string ObjectOf(const v1::ApplyVmRequest& request) { return absl::StrCat("vms/", request.vm_id()); }
std::string ObjectOf(const v1::UpdateVmRequest& request) { return request.vm().name(); }
template <typename Request>
std::string ObjectOf(const Request& request) {
  return request.name();
}

// What else the audit is to know.
template <typename Request>
std::map<std::string, std::string> FieldsOf(const Request&, const absl::StatusOr<VmSnapshotPtr>&) {
  return {};
}
std::map<std::string, std::string> FieldsOf(const v1::ResetVmRequest& request,
                                            const absl::StatusOr<VmSnapshotPtr>& result) {
  if (!request.has_new_cid() || !result.ok()) return {};
  return {{"cid", absl::StrCat((*result)->status.cid)}};
}

}  // namespace

void VmService::AddStats(const std::string& id, v1::Vm& vm) const {
  const absl::StatusOr<VmStats> stats = manager_.Stats(id);
  if (stats.ok()) *vm.mutable_status()->mutable_stats() = ToProto(*stats);
}

template <typename Request, typename Wanted>
grpc::ServerUnaryReactor* VmService::Decide(std::string_view method, grpc::CallbackServerContext* context,
                                            const Request& request, absl::StatusOr<Wanted> (*convert)(const Request&),
                                            void (VmManager::*decide)(Wanted, VmManager::Done), v1::Vm* response) {
  const auto fill = [this](const VmSnapshotPtr& vm, v1::Vm& out) {
    if (vm != nullptr) out = ToProto(*vm, hub_.epoch());
  };
  const auto fields = [](const Request& about, const absl::StatusOr<VmSnapshotPtr>& result) {
    return FieldsOf(about, result);
  };
  return calls_.Decide(method, context, request, ObjectOf(request), convert, manager_, decide, response, fill, fields);
}

grpc::ServerUnaryReactor* VmService::CreateVm(grpc::CallbackServerContext* context, const v1::CreateVmRequest* request,
                                              v1::Vm* response) {
  return Decide("VmService.CreateVm", context, *request, ToVmCreation, &VmManager::Create, response);
}

grpc::ServerUnaryReactor* VmService::ApplyVm(grpc::CallbackServerContext* context, const v1::ApplyVmRequest* request,
                                             v1::Vm* response) {
  return Decide("VmService.ApplyVm", context, *request, ToVmApplication, &VmManager::Apply, response);
}

grpc::ServerUnaryReactor* VmService::UpdateVm(grpc::CallbackServerContext* context, const v1::UpdateVmRequest* request,
                                              v1::Vm* response) {
  return Decide("VmService.UpdateVm", context, *request, ToVmUpdate, &VmManager::Update, response);
}

grpc::ServerUnaryReactor* VmService::GetVm(grpc::CallbackServerContext* context, const v1::GetVmRequest* request,
                                           v1::Vm* response) {
  return calls_.Answer("VmService.GetVm", context, *request, *response,
                       [this, request, response] { return Read(*request, *response); });
}

absl::Status VmService::Read(const v1::GetVmRequest& request, v1::Vm& response) const {
  KINSOCK_ASSIGN_OR_RETURN(const std::string id, ToVmId(request.name()));
  KINSOCK_ASSIGN_OR_RETURN(const bool full, IsFull(request.view()));
  KINSOCK_ASSIGN_OR_RETURN(const VmSnapshotPtr vm, manager_.Get(id));
  response = ToProto(*vm, hub_.epoch());
  if (full) AddStats(id, response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* VmService::ListVms(grpc::CallbackServerContext* context, const v1::ListVmsRequest* request,
                                             v1::ListVmsResponse* response) {
  return calls_.Answer("VmService.ListVms", context, *request, *response,
                       [this, request, response] { return List(*request, *response); });
}

absl::Status VmService::List(const v1::ListVmsRequest& request, v1::ListVmsResponse& response) const {
  KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request.page_size(), request.page_token()));
  KINSOCK_ASSIGN_OR_RETURN(const bool full, IsFull(request.view()));
  KINSOCK_ASSIGN_OR_RETURN(const VmFilter filter, VmFilter::Parse(request.filter()));
  PageToken token = page.token.value_or(PageToken{{hub_.epoch(), hub_.head()}, ""});
  // The listing promises that a watch from its version misses nothing: only as long as that can be watched.
  if (token.version.epoch != hub_.epoch() || token.version.n < hub_.oldest() || token.version.n > hub_.head()) {
    return Error(absl::StatusCode::kOutOfRange, "RESOURCE_VERSION_EXPIRED",
                 "the page token is too old, or of an earlier start of the daemon; list again from the first page")
        .With("oldest", ResourceVersion{hub_.epoch(), hub_.oldest()}.ToString());
  }
  response.set_resource_version(token.version.ToString());
  const std::vector<VmSnapshotPtr> vms = manager_.List(token.after, page.size + 1, filter);
  size_t bytes = 0;
  for (const VmSnapshotPtr& vm : vms) {
    v1::Vm proto = ToProto(*vm, hub_.epoch());
    if (full) AddStats(vm->definition->id, proto);
    bytes += proto.ByteSizeLong();
    const auto listed = static_cast<size_t>(response.vms_size());
    if (listed == page.size || (listed > 0 && bytes > kMaxPageBytes)) {
      response.set_next_page_token(token.ToString());
      break;
    }
    token.after = vm->definition->id;
    *response.add_vms() = std::move(proto);
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* VmService::WaitVm(grpc::CallbackServerContext* context, const v1::WaitVmRequest* request,
                                            v1::Vm* response) {
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "VmService.WaitVm");
  if (!ticket.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(ticket.status()));
    return reactor;
  }
  return WaitCall::Start(main_, waits_, ToVmGoal(*request), hub_.epoch(), *std::move(ticket), response);
}

grpc::ServerUnaryReactor* VmService::DrainVm(grpc::CallbackServerContext* context, const v1::DrainVmRequest* request,
                                             v1::Vm* response) {
  return Decide("VmService.DrainVm", context, *request, ToVmDrain, &VmManager::Drain, response);
}

grpc::ServerUnaryReactor* VmService::ResumeVm(grpc::CallbackServerContext* context, const v1::ResumeVmRequest* request,
                                              v1::Vm* response) {
  return Decide("VmService.ResumeVm", context, *request, ToVmDrain, &VmManager::Drain, response);
}

grpc::ServerUnaryReactor* VmService::ResetVm(grpc::CallbackServerContext* context, const v1::ResetVmRequest* request,
                                             v1::Vm* response) {
  return Decide("VmService.ResetVm", context, *request, ToVmReset, &VmManager::Reset, response);
}

grpc::ServerUnaryReactor* VmService::DeleteVm(grpc::CallbackServerContext* context, const v1::DeleteVmRequest* request,
                                              v1::Vm* response) {
  return Decide("VmService.DeleteVm", context, *request, ToVmDeletion, &VmManager::Delete, response);
}

grpc::ServerWriteReactor<v1::WatchVmsResponse>* VmService::WatchVms(grpc::CallbackServerContext* context,
                                                                    const v1::WatchRequest* request) {
  absl::StatusOr<WatchQuota::Ticket> ticket = access_.AdmitWatch(*context, "VmService.WatchVms");
  if (!ticket.ok()) return new RefusedStream<v1::WatchVmsResponse>(ToGrpcStatus(ticket.status()));
  return VmWatch::Start(main_, manager_, hub_, *request, *std::move(ticket));
}

}  // namespace kinsock
