// SPDX-License-Identifier: Apache-2.0
#include "server/service/network_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "server/convert/network_conversion.h"
#include "server/convert/page_filling.h"
#include "server/convert/paging.h"
#include "server/convert/vm_requests.h"
#include "server/model/vm_spec.h"
#include "server/status/error.h"
#include "server/status/status_conversion.h"

namespace kinsock {
namespace {

constexpr char kNetworkForm[] = "networks/{network_id}";

void Fill(const NetworkSnapshot& network, v1::Network& response) { response = ToProto(network); }
void Fill(const CidLease& lease, v1::CidLease& response) { response = ToProto(lease); }
void Fill(const PolicyDefinitionPtr& policy, v1::Policy& response) {
  if (policy != nullptr) response = ToProto(*policy);
}
constexpr auto kFill = [](const auto& result, auto& response) { Fill(result, response); };

// What a request is about, for the audit; what a client has called so need not exist.
std::string ObjectOf(const v1::CreateNetworkRequest& request) {
  return absl::StrCat("networks/", request.network_id());
}
std::string ObjectOf(const v1::UpdateNetworkRequest& request) { return request.network().name(); }
std::string ObjectOf(const v1::CreatePolicyRequest& request) {
  return absl::StrCat(request.parent(), "/policies/", request.policy_id());
}
std::string ObjectOf(const v1::UpdatePolicyRequest& request) { return request.policy().name(); }
std::string ObjectOf(const v1::ReserveCidRequest& request) { return absl::StrCat(request.parent(), "/cids"); }
template <typename Request>
std::string ObjectOf(const Request& request) {
  return request.name();
}

}  // namespace

// --- Networks ---

grpc::ServerUnaryReactor* NetworkService::CreateNetwork(grpc::CallbackServerContext* context,
                                                        const v1::CreateNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*create)(NetworkCreation, NetworkManager::NetworkDone) = &NetworkManager::Create;
  return calls_.Decide("NetworkService.CreateNetwork", context, *request, ObjectOf(*request), ToNetworkCreation,
                       networks_, create, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::UpdateNetwork(grpc::CallbackServerContext* context,
                                                        const v1::UpdateNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*update)(NetworkUpdate, NetworkManager::NetworkDone) = &NetworkManager::Update;
  return calls_.Decide("NetworkService.UpdateNetwork", context, *request, ObjectOf(*request), ToNetworkUpdate,
                       networks_, update, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::DeleteNetwork(grpc::CallbackServerContext* context,
                                                        const v1::DeleteNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*remove)(NetworkDeletion, NetworkManager::NetworkDone) = &NetworkManager::Delete;
  return calls_.Decide("NetworkService.DeleteNetwork", context, *request, ObjectOf(*request), ToNetworkDeletion,
                       networks_, remove, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::GetNetwork(grpc::CallbackServerContext* context,
                                                     const v1::GetNetworkRequest* request, v1::Network* response) {
  return calls_.Answer("NetworkService.GetNetwork", context, *request, *response,
                       [this, request, response]() -> absl::Status {
                         const auto id = ParseNetworkName(request->name());
                         if (!id.has_value()) return NotAName("name", request->name(), kNetworkForm);
                         KINSOCK_ASSIGN_OR_RETURN(const NetworkSnapshot network, networks_.Get(*id));
                         *response = ToProto(network);
                         return absl::OkStatus();
                       });
}

grpc::ServerUnaryReactor* NetworkService::ListNetworks(grpc::CallbackServerContext* context,
                                                       const v1::ListNetworksRequest* request,
                                                       v1::ListNetworksResponse* response) {
  return calls_.Answer(
      "NetworkService.ListNetworks", context, *request, *response, [this, request, response]() -> absl::Status {
        KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request->page_size(), request->page_token()));
        const std::string after = page.token.has_value() ? page.token->after : "";
        response->set_next_page_token(FillPage(
            networks_.List(after, page.size + 1), page.size,
            [response](const NetworkSnapshot& network) {
              auto proto = std::make_shared<v1::Network>(ToProto(network));
              return std::pair(proto->ByteSizeLong(),
                               [response, proto] { *response->add_networks() = std::move(*proto); });
            },
            [](const NetworkSnapshot& network) { return network.definition->id; }));
        return absl::OkStatus();
      });
}

// --- Policies ---

grpc::ServerUnaryReactor* NetworkService::CreatePolicy(grpc::CallbackServerContext* context,
                                                       const v1::CreatePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*create)(PolicyCreation, NetworkManager::PolicyDone) = &NetworkManager::Create;
  return calls_.Decide("NetworkService.CreatePolicy", context, *request, ObjectOf(*request), ToPolicyCreation,
                       networks_, create, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::UpdatePolicy(grpc::CallbackServerContext* context,
                                                       const v1::UpdatePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*update)(PolicyUpdate, NetworkManager::PolicyDone) = &NetworkManager::Update;
  return calls_.Decide("NetworkService.UpdatePolicy", context, *request, ObjectOf(*request), ToPolicyUpdate, networks_,
                       update, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::DeletePolicy(grpc::CallbackServerContext* context,
                                                       const v1::DeletePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*remove)(PolicyDeletion, NetworkManager::PolicyDone) = &NetworkManager::Delete;
  return calls_.Decide("NetworkService.DeletePolicy", context, *request, ObjectOf(*request), ToPolicyDeletion,
                       networks_, remove, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::GetPolicy(grpc::CallbackServerContext* context,
                                                    const v1::GetPolicyRequest* request, v1::Policy* response) {
  return calls_.Answer(
      "NetworkService.GetPolicy", context, *request, *response, [this, request, response]() -> absl::Status {
        const auto name = ParsePolicyName(request->name());
        if (!name.has_value()) {
          return NotAName("name", request->name(), "networks/{network_id}/policies/{policy_id}");
        }
        KINSOCK_ASSIGN_OR_RETURN(const PolicyDefinitionPtr policy, networks_.Get(name->first, name->second));
        *response = ToProto(*policy);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* NetworkService::ListPolicies(grpc::CallbackServerContext* context,
                                                       const v1::ListPoliciesRequest* request,
                                                       v1::ListPoliciesResponse* response) {
  return calls_.Answer(
      "NetworkService.ListPolicies", context, *request, *response, [this, request, response]() -> absl::Status {
        const auto network = ParseNetworkName(request->parent());
        if (!network.has_value()) return NotAName("parent", request->parent(), kNetworkForm);
        KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request->page_size(), request->page_token()));
        const std::string after = page.token.has_value() ? page.token->after : "";
        KINSOCK_ASSIGN_OR_RETURN(const std::vector<PolicyDefinitionPtr> policies,
                                 networks_.List(*network, after, page.size + 1));
        response->set_next_page_token(FillPage(
            policies, page.size,
            [response](const PolicyDefinitionPtr& policy) {
              auto proto = std::make_shared<v1::Policy>(ToProto(*policy));
              return std::pair(proto->ByteSizeLong(),
                               [response, proto] { *response->add_policies() = std::move(*proto); });
            },
            [](const PolicyDefinitionPtr& policy) { return policy->id; }));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* NetworkService::TestPolicy(grpc::CallbackServerContext* context,
                                                     const v1::TestPolicyRequest* request,
                                                     v1::TestPolicyResponse* response) {
  return calls_.Answer("NetworkService.TestPolicy", context, *request, *response,
                       [this, request, response] { return Test(*request, *response); });
}

absl::Status NetworkService::Test(const v1::TestPolicyRequest& request, v1::TestPolicyResponse& response) const {
  std::string network;
  std::optional<VmIdentity> ends[2];
  std::vector<FieldViolation> violations;
  const auto find = [&](const std::string& name, const char* field, std::optional<VmIdentity>& end) -> absl::Status {
    if (name == "host") return absl::OkStatus();
    const absl::StatusOr<std::string> id = ToVmId(name);
    if (!id.ok()) {
      violations.push_back({field, absl::StrCat(Quoted(name), " is neither \"vms/{vm_id}\" nor \"host\"")});
      return absl::OkStatus();
    }
    KINSOCK_ASSIGN_OR_RETURN(const VmSnapshotPtr vm, vms_.Get(*id));
    const VmDefinition& definition = *vm->definition;
    end = VmIdentity{.vm = definition.name(),
                     .cid = vm->status.cid,
                     .groups = std::make_shared<const GroupSet>(EffectiveGroups(definition.spec)),
                     .labels = definition.labels};
    const std::string its = NetworkOf(definition.spec);
    if (!network.empty() && network != its) {
      violations.push_back({field, absl::StrCat("is in networks/", its, ", and the other end in networks/", network,
                                                ": they cannot address each other")});
    }
    network = its;
    return absl::OkStatus();
  };
  KINSOCK_RETURN_IF_ERROR(find(request.from(), "from", ends[0]));
  KINSOCK_RETURN_IF_ERROR(find(request.to(), "to", ends[1]));
  if (violations.empty() && network.empty()) violations.push_back({"to", "one of the two ends is a VM"});
  if (!violations.empty()) return FieldsInvalid("", violations);
  const auto pointer = [](const std::optional<VmIdentity>& end) { return end.has_value() ? &*end : nullptr; };
  KINSOCK_ASSIGN_OR_RETURN(const NetworkManager::Test test,
                           networks_.TestPolicy(network, pointer(ends[0]), pointer(ends[1]), request.port()));
  response.set_allowed(test.allowed);
  response.set_policy(test.policy);
  response.set_network("networks/" + network);
  response.set_default_policy(ToProto(test.otherwise));
  return absl::OkStatus();
}

// --- CIDs ---

grpc::ServerUnaryReactor* NetworkService::ListCids(grpc::CallbackServerContext* context,
                                                   const v1::ListCidsRequest* request, v1::ListCidsResponse* response) {
  return calls_.Answer("NetworkService.ListCids", context, *request, *response,
                       [this, request, response] { return List(*request, *response); });
}

absl::Status NetworkService::List(const v1::ListCidsRequest& request, v1::ListCidsResponse& response) const {
  const auto network = ParseNetworkName(request.parent());
  if (!network.has_value()) return NotAName("parent", request.parent(), kNetworkForm);
  KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request.page_size(), request.page_token()));
  Cid after = 0;
  if (page.token.has_value() && !absl::SimpleAtoi(page.token->after, &after)) {
    return NotAName("page_token", request.page_token(), "next_page_token of ListCids");
  }
  KINSOCK_ASSIGN_OR_RETURN(const std::vector<CidLease> cids, networks_.ListCids(*network, after, page.size + 1));
  response.set_next_page_token(FillPage(
      cids, page.size,
      [&response](const CidLease& lease) {
        auto proto = std::make_shared<v1::CidLease>(ToProto(lease));
        return std::pair(proto->ByteSizeLong(), [&response, proto] { *response.add_cids() = std::move(*proto); });
      },
      [](const CidLease& lease) { return absl::StrCat(lease.lease.cid); }));
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* NetworkService::ReserveCid(grpc::CallbackServerContext* context,
                                                     const v1::ReserveCidRequest* request, v1::CidLease* response) {
  return calls_.Decide("NetworkService.ReserveCid", context, *request, ObjectOf(*request), ToCidReservation, networks_,
                       &NetworkManager::Reserve, response, kFill);
}

grpc::ServerUnaryReactor* NetworkService::ReleaseCid(grpc::CallbackServerContext* context,
                                                     const v1::ReleaseCidRequest* request,
                                                     google::protobuf::Empty* response) {
  return calls_.Decide("NetworkService.ReleaseCid", context, *request, ObjectOf(*request), ToCidRelease, networks_,
                       &NetworkManager::Release, response, [](const CidLease&, google::protobuf::Empty&) {});
}

}  // namespace kinsock
