// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_NETWORK_SERVICE_H_
#define KINSOCK_SERVER_NETWORK_SERVICE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/access.h"
#include "server/audit.h"
#include "server/network_manager.h"
#include "server/vm_manager.h"

namespace kinsock {

// kinsock.v1.NetworkService: converts on gRPC's threads, posts to main, where the managers decide, and finishes from
// there.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class NetworkService final : public v1::NetworkService::CallbackService {
 public:
  // gRPC clients refuse messages above 4 MiB; a policy has at most some 20 KiB.
  static constexpr size_t kMaxPageBytes = 3u << 20;

  NetworkService(EventLoop& main, NetworkManager& networks, VmManager& vms, const Access& access, Audit& audit)
      : main_(main), networks_(networks), vms_(vms), access_(access), audit_(audit) {}

  grpc::ServerUnaryReactor* CreateNetwork(grpc::CallbackServerContext* context, const v1::CreateNetworkRequest* request,
                                          v1::Network* response) override;
  grpc::ServerUnaryReactor* GetNetwork(grpc::CallbackServerContext* context, const v1::GetNetworkRequest* request,
                                       v1::Network* response) override;
  grpc::ServerUnaryReactor* ListNetworks(grpc::CallbackServerContext* context, const v1::ListNetworksRequest* request,
                                         v1::ListNetworksResponse* response) override;
  grpc::ServerUnaryReactor* UpdateNetwork(grpc::CallbackServerContext* context, const v1::UpdateNetworkRequest* request,
                                          v1::Network* response) override;
  grpc::ServerUnaryReactor* DeleteNetwork(grpc::CallbackServerContext* context, const v1::DeleteNetworkRequest* request,
                                          v1::Network* response) override;
  grpc::ServerUnaryReactor* CreatePolicy(grpc::CallbackServerContext* context, const v1::CreatePolicyRequest* request,
                                         v1::Policy* response) override;
  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const v1::GetPolicyRequest* request,
                                      v1::Policy* response) override;
  grpc::ServerUnaryReactor* ListPolicies(grpc::CallbackServerContext* context, const v1::ListPoliciesRequest* request,
                                         v1::ListPoliciesResponse* response) override;
  grpc::ServerUnaryReactor* UpdatePolicy(grpc::CallbackServerContext* context, const v1::UpdatePolicyRequest* request,
                                         v1::Policy* response) override;
  grpc::ServerUnaryReactor* DeletePolicy(grpc::CallbackServerContext* context, const v1::DeletePolicyRequest* request,
                                         v1::Policy* response) override;
  grpc::ServerUnaryReactor* TestPolicy(grpc::CallbackServerContext* context, const v1::TestPolicyRequest* request,
                                       v1::TestPolicyResponse* response) override;
  grpc::ServerUnaryReactor* ListCids(grpc::CallbackServerContext* context, const v1::ListCidsRequest* request,
                                     v1::ListCidsResponse* response) override;
  grpc::ServerUnaryReactor* ReserveCid(grpc::CallbackServerContext* context, const v1::ReserveCidRequest* request,
                                       v1::CidLease* response) override;
  grpc::ServerUnaryReactor* ReleaseCid(grpc::CallbackServerContext* context, const v1::ReleaseCidRequest* request,
                                       google::protobuf::Empty* response) override;

 private:
  // Has the manager decide about what a client wants, and answers.
  template <typename Request, typename Wanted, typename Result, typename Response>
  grpc::ServerUnaryReactor* Decide(std::string_view method, grpc::CallbackServerContext* context,
                                   const Request& request, absl::StatusOr<Wanted> (*convert)(const Request&),
                                   void (NetworkManager::*decide)(Wanted,
                                                                  absl::AnyInvocable<void(absl::StatusOr<Result>)>),
                                   Response* response);
  // Answers with what `fill` says on main.
  template <typename Fill>
  grpc::ServerUnaryReactor* Answer(std::string_view method, grpc::CallbackServerContext* context, Fill fill);
  absl::Status Test(const v1::TestPolicyRequest& request, v1::TestPolicyResponse& response) const;

  EventLoop& main_;
  NetworkManager& networks_;  // main thread's
  VmManager& vms_;            // main thread's
  const Access& access_;
  Audit& audit_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_NETWORK_SERVICE_H_
