// SPDX-License-Identifier: Apache-2.0
#include "server/service/forward_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/convert/forward_conversion.h"
#include "server/convert/page_filling.h"
#include "server/convert/paging.h"
#include "server/convert/resource_name.h"
#include "server/model/vm_validation.h"

namespace kinsock {
namespace {

constexpr char kForwardForm[] = "forwards/{forward_id}";
constexpr auto kFill = [](const ForwardSnapshot& forward, v1::Forward& response) { response = ToProto(forward); };

// The id of the VM whose forwards are asked for; empty: of all.
absl::StatusOr<std::string> ToVmFilter(const std::string& vm) {
  constexpr std::string_view kVms = "vms/";
  if (vm.empty()) return vm;
  if (vm.rfind(kVms, 0) == 0 && IsVmId(vm.substr(kVms.size()))) return vm.substr(kVms.size());
  return NotAName("vm", vm, "vms/{vm_id}");
}

}  // namespace

grpc::ServerUnaryReactor* ForwardService::CreateForward(grpc::CallbackServerContext* context,
                                                        const v1::CreateForwardRequest* request,
                                                        v1::Forward* response) {
  return calls_.Decide("ForwardService.CreateForward", context, *request,
                       absl::StrCat("forwards/", request->forward_id()), ToForwardCreation, forwards_,
                       &ForwardManager::Create, response, kFill);
}

grpc::ServerUnaryReactor* ForwardService::UpdateForward(grpc::CallbackServerContext* context,
                                                        const v1::UpdateForwardRequest* request,
                                                        v1::Forward* response) {
  return calls_.Decide("ForwardService.UpdateForward", context, *request, request->forward().name(), ToForwardUpdate,
                       forwards_, &ForwardManager::Update, response, kFill);
}

grpc::ServerUnaryReactor* ForwardService::DeleteForward(grpc::CallbackServerContext* context,
                                                        const v1::DeleteForwardRequest* request,
                                                        v1::Forward* response) {
  return calls_.Decide("ForwardService.DeleteForward", context, *request, request->name(), ToForwardDeletion, forwards_,
                       &ForwardManager::Delete, response, kFill);
}

grpc::ServerUnaryReactor* ForwardService::GetForward(grpc::CallbackServerContext* context,
                                                     const v1::GetForwardRequest* request, v1::Forward* response) {
  return calls_.Answer("ForwardService.GetForward", context, *request, *response,
                       [this, request, response]() -> absl::Status {
                         const auto id = ParseForwardName(request->name());
                         if (!id.has_value()) return NotAName("name", request->name(), kForwardForm);
                         KINSOCK_ASSIGN_OR_RETURN(const ForwardSnapshot forward, forwards_.Get(*id));
                         *response = ToProto(forward);
                         return absl::OkStatus();
                       });
}

grpc::ServerUnaryReactor* ForwardService::ListForwards(grpc::CallbackServerContext* context,
                                                       const v1::ListForwardsRequest* request,
                                                       v1::ListForwardsResponse* response) {
  return calls_.Answer(
      "ForwardService.ListForwards", context, *request, *response, [this, request, response]() -> absl::Status {
        KINSOCK_ASSIGN_OR_RETURN(const std::string vm, ToVmFilter(request->vm()));
        KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request->page_size(), request->page_token()));
        const std::string after = page.token.has_value() ? page.token->after : "";
        response->set_next_page_token(FillPage(
            forwards_.List(vm, after, page.size + 1), page.size,
            [response](const ForwardSnapshot& forward) {
              auto proto = std::make_shared<v1::Forward>(ToProto(forward));
              return std::pair(proto->ByteSizeLong(),
                               [response, proto] { *response->add_forwards() = std::move(*proto); });
            },
            [](const ForwardSnapshot& forward) { return forward.definition->id; }));
        return absl::OkStatus();
      });
}

}  // namespace kinsock
