// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_NETWORK_SERVICE_H_
#define KINSOCK_SERVER_SERVICE_NETWORK_SERVICE_H_

#include "absl/status/status.h"
#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_manager.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/unary_calls.h"

namespace kinsock {

// kinsock.v1.NetworkService: converts on gRPC's threads, posts to main, where the managers decide, and finishes from
// there.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class NetworkService final : public v1::NetworkService::CallbackService {
 public:
  NetworkService(EventLoop& main, NetworkManager& networks, VmManager& vms, const Access& access, Audit& audit)
      : networks_(networks), vms_(vms), calls_(main, access, audit) {}

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

  // Main thread: what ListCids answers to a caller who may see.
  absl::Status List(const v1::ListCidsRequest& request, v1::ListCidsResponse& response) const;

 private:
  absl::Status Test(const v1::TestPolicyRequest& request, v1::TestPolicyResponse& response) const;

  NetworkManager& networks_;  // main thread's
  VmManager& vms_;            // main thread's
  UnaryCalls calls_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_NETWORK_SERVICE_H_
