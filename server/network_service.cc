// SPDX-License-Identifier: Apache-2.0
#include "server/network_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/error.h"
#include "server/network_conversion.h"
#include "server/paging.h"
#include "server/status_conversion.h"
#include "server/text.h"
#include "server/vm_change.h"
#include "server/vm_requests.h"

namespace kinsock {
namespace {

constexpr char kNetworkForm[] = "networks/{network_id}";

void Fill(const NetworkSnapshot& network, v1::Network& response) { response = ToProto(network); }
void Fill(const CidLease& lease, v1::CidLease& response) { response = ToProto(lease); }
void Fill(const PolicyDefinitionPtr& policy, v1::Policy& response) {
  if (policy != nullptr) response = ToProto(*policy);
}

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

// Adds what fits of `items`, of which there may be one too many, and says where the next page begins.
template <typename Items, typename Add, typename After>
std::string FillPage(const Items& items, size_t size, Add add, After after) {
  size_t listed = 0, bytes = 0;
  PageToken token;
  for (const auto& item : items) {
    auto proto = add(item);
    bytes += proto.first;
    if (listed == size || (listed > 0 && bytes > NetworkService::kMaxPageBytes)) return token.ToString();
    proto.second();
    ++listed;
    // Names, not versions: what is made or taken away meanwhile may be in a page or not.
    token = PageToken{{"0", 1}, after(item)};
  }
  return "";
}

}  // namespace

template <typename Request, typename Wanted, typename Result, typename Response>
grpc::ServerUnaryReactor* NetworkService::Decide(
    std::string_view method, grpc::CallbackServerContext* context, const Request& request,
    absl::StatusOr<Wanted> (*convert)(const Request&),
    void (NetworkManager::*decide)(Wanted, absl::AnyInvocable<void(absl::StatusOr<Result>)>), Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, method, reactor)) return reactor;
  absl::StatusOr<Wanted> wanted = convert(request);
  if (!wanted.ok()) {
    if (!request.validate_only()) audit_.Mutation(*context, method, ObjectOf(request), wanted.status());
    reactor->Finish(ToGrpcStatus(wanted.status()));
    return reactor;
  }
  // gRPC keeps the context, the reactor and the response until Finish().
  main_.Post([this, method, context, reactor, &request, response, decide, wanted = *std::move(wanted)]() mutable {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    (networks_.*decide)(std::move(wanted),
                        [this, method, context, reactor, &request, response](absl::StatusOr<Result> result) {
                          if (result.ok()) Fill(*result, *response);
                          if (!request.validate_only()) {
                            const std::string object = result.ok() ? response->name() : ObjectOf(request);
                            audit_.Mutation(*context, method, object, result.status());
                          }
                          reactor->Finish(ToGrpcStatus(result.status()));
                        });
  });
  return reactor;
}

template <typename FillResponse>
grpc::ServerUnaryReactor* NetworkService::Answer(std::string_view method, grpc::CallbackServerContext* context,
                                                 FillResponse fill) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, method, reactor)) return reactor;
  main_.Post([context, reactor, fill = std::move(fill)] {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    reactor->Finish(ToGrpcStatus(fill()));
  });
  return reactor;
}

// --- Networks ---

grpc::ServerUnaryReactor* NetworkService::CreateNetwork(grpc::CallbackServerContext* context,
                                                        const v1::CreateNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*create)(NetworkCreation, NetworkManager::NetworkDone) = &NetworkManager::Create;
  return Decide("NetworkService.CreateNetwork", context, *request, ToNetworkCreation, create, response);
}

grpc::ServerUnaryReactor* NetworkService::UpdateNetwork(grpc::CallbackServerContext* context,
                                                        const v1::UpdateNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*update)(NetworkUpdate, NetworkManager::NetworkDone) = &NetworkManager::Update;
  return Decide("NetworkService.UpdateNetwork", context, *request, ToNetworkUpdate, update, response);
}

grpc::ServerUnaryReactor* NetworkService::DeleteNetwork(grpc::CallbackServerContext* context,
                                                        const v1::DeleteNetworkRequest* request,
                                                        v1::Network* response) {
  void (NetworkManager::*remove)(NetworkDeletion, NetworkManager::NetworkDone) = &NetworkManager::Delete;
  return Decide("NetworkService.DeleteNetwork", context, *request, ToNetworkDeletion, remove, response);
}

grpc::ServerUnaryReactor* NetworkService::GetNetwork(grpc::CallbackServerContext* context,
                                                     const v1::GetNetworkRequest* request, v1::Network* response) {
  return Answer("NetworkService.GetNetwork", context, [this, request, response]() -> absl::Status {
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
  return Answer("NetworkService.ListNetworks", context, [this, request, response]() -> absl::Status {
    KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request->page_size(), request->page_token()));
    const std::string after = page.token.has_value() ? page.token->after : "";
    response->set_next_page_token(FillPage(
        networks_.List(after, page.size + 1), page.size,
        [response](const NetworkSnapshot& network) {
          auto proto = std::make_shared<v1::Network>(ToProto(network));
          return std::pair(proto->ByteSizeLong(), [response, proto] { *response->add_networks() = std::move(*proto); });
        },
        [](const NetworkSnapshot& network) { return network.definition->id; }));
    return absl::OkStatus();
  });
}

// --- Policies ---

grpc::ServerUnaryReactor* NetworkService::CreatePolicy(grpc::CallbackServerContext* context,
                                                       const v1::CreatePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*create)(PolicyCreation, NetworkManager::PolicyDone) = &NetworkManager::Create;
  return Decide("NetworkService.CreatePolicy", context, *request, ToPolicyCreation, create, response);
}

grpc::ServerUnaryReactor* NetworkService::UpdatePolicy(grpc::CallbackServerContext* context,
                                                       const v1::UpdatePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*update)(PolicyUpdate, NetworkManager::PolicyDone) = &NetworkManager::Update;
  return Decide("NetworkService.UpdatePolicy", context, *request, ToPolicyUpdate, update, response);
}

grpc::ServerUnaryReactor* NetworkService::DeletePolicy(grpc::CallbackServerContext* context,
                                                       const v1::DeletePolicyRequest* request, v1::Policy* response) {
  void (NetworkManager::*remove)(PolicyDeletion, NetworkManager::PolicyDone) = &NetworkManager::Delete;
  return Decide("NetworkService.DeletePolicy", context, *request, ToPolicyDeletion, remove, response);
}

grpc::ServerUnaryReactor* NetworkService::GetPolicy(grpc::CallbackServerContext* context,
                                                    const v1::GetPolicyRequest* request, v1::Policy* response) {
  return Answer("NetworkService.GetPolicy", context, [this, request, response]() -> absl::Status {
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
  return Answer("NetworkService.ListPolicies", context, [this, request, response]() -> absl::Status {
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
          return std::pair(proto->ByteSizeLong(), [response, proto] { *response->add_policies() = std::move(*proto); });
        },
        [](const PolicyDefinitionPtr& policy) { return policy->id; }));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NetworkService::TestPolicy(grpc::CallbackServerContext* context,
                                                     const v1::TestPolicyRequest* request,
                                                     v1::TestPolicyResponse* response) {
  return Answer("NetworkService.TestPolicy", context, [this, request, response] { return Test(*request, *response); });
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
  return Answer("NetworkService.ListCids", context, [this, request, response]() -> absl::Status {
    const auto network = ParseNetworkName(request->parent());
    if (!network.has_value()) return NotAName("parent", request->parent(), kNetworkForm);
    KINSOCK_ASSIGN_OR_RETURN(const Page page, ParsePage(request->page_size(), request->page_token()));
    Cid after = 0;
    if (page.token.has_value() && !absl::SimpleAtoi(page.token->after, &after)) {
      return NotAName("page_token", request->page_token(), "next_page_token of ListCids");
    }
    KINSOCK_ASSIGN_OR_RETURN(const std::vector<CidLease> cids, networks_.ListCids(*network, after, page.size + 1));
    response->set_next_page_token(FillPage(
        cids, page.size,
        [response](const CidLease& lease) {
          auto proto = std::make_shared<v1::CidLease>(ToProto(lease));
          return std::pair(proto->ByteSizeLong(), [response, proto] { *response->add_cids() = std::move(*proto); });
        },
        [](const CidLease& lease) { return absl::StrCat(lease.lease.cid); }));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NetworkService::ReserveCid(grpc::CallbackServerContext* context,
                                                     const v1::ReserveCidRequest* request, v1::CidLease* response) {
  return Decide("NetworkService.ReserveCid", context, *request, ToCidReservation, &NetworkManager::Reserve, response);
}

grpc::ServerUnaryReactor* NetworkService::ReleaseCid(grpc::CallbackServerContext* context,
                                                     const v1::ReleaseCidRequest* request, google::protobuf::Empty*) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (access_.Refuses(*context, "NetworkService.ReleaseCid", reactor)) return reactor;
  const auto name = ParseCidName(request->name());
  const auto finish = [this, context, reactor, request](const absl::Status& status) {
    audit_.Mutation(*context, "NetworkService.ReleaseCid", request->name(), status);
    reactor->Finish(ToGrpcStatus(status));
  };
  if (!name.has_value()) {
    finish(NotAName("name", request->name(), "networks/{network_id}/cids/{cid}"));
    return reactor;
  }
  main_.Post([this, context, reactor, name = *name, force = request->force(), finish] {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    networks_.Release(name.first, name.second, force, finish);
  });
  return reactor;
}

}  // namespace kinsock
