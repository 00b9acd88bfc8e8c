// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_NETWORK_FIXTURE_H_
#define KINSOCK_TESTS_SERVER_NETWORK_FIXTURE_H_

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "api/kinsock/v1/network_service.grpc.pb.h"
#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"

namespace kinsock::testing {

// Calls of NetworkService, with a deadline.
template <typename Request, typename Response>
grpc::Status Ask(RunningDaemon& daemon,
                 grpc::Status (v1::NetworkService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                 const Request& request, Response* response) {
  grpc::ClientContext context;
  SetDeadline(context);
  return (daemon.networks().*method)(&context, request, response);
}

inline v1::CreatePolicyRequest Deny(const std::string& id, const std::string& network = "networks/default") {
  v1::CreatePolicyRequest request;
  request.set_parent(network);
  request.set_policy_id(id);
  return request;
}

// All of the daemon, and calls of its NetworkService.
class NetworkFixture : public VmFixture {
 protected:
  using Stub = v1::NetworkService::Stub;

  grpc::Status Create(const std::string& id, v1::Network* network = nullptr, v1::Network wanted = {}) {
    v1::CreateNetworkRequest request;
    request.set_network_id(id);
    *request.mutable_network() = std::move(wanted);
    v1::Network ignored;
    return Ask(daemon_, &Stub::CreateNetwork, request, network != nullptr ? network : &ignored);
  }
  grpc::Status CreatePolicy(const v1::CreatePolicyRequest& request, v1::Policy* policy = nullptr) {
    v1::Policy ignored;
    return Ask(daemon_, &Stub::CreatePolicy, request, policy != nullptr ? policy : &ignored);
  }
  v1::Policy GetPolicy(const std::string& id) {
    v1::GetPolicyRequest request;
    request.set_name("networks/default/policies/" + id);
    v1::Policy policy;
    EXPECT_TRUE(Ask(daemon_, &Stub::GetPolicy, request, &policy).ok());
    return policy;
  }
  grpc::Status CreateVm(const std::string& id, const std::string& network, uint32_t cid, v1::Vm* vm = nullptr) {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->set_network(network);
    if (cid != 0) request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    return daemon_.Create(request, vm);
  }
  v1::TestPolicyResponse Test(const std::string& from, const std::string& to, uint32_t port) {
    v1::TestPolicyRequest request;
    request.set_from(from);
    request.set_to(to);
    request.set_port(port);
    v1::TestPolicyResponse response;
    const grpc::Status status = Ask(daemon_, &Stub::TestPolicy, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::vector<v1::CidLease> Cids(const std::string& network = "networks/default") {
    v1::ListCidsRequest request;
    request.set_parent(network);
    v1::ListCidsResponse response;
    EXPECT_TRUE(Ask(daemon_, &Stub::ListCids, request, &response).ok());
    return {response.cids().begin(), response.cids().end()};
  }
  grpc::Status Reserve(uint32_t cid, v1::CidLease* lease, const std::string& holder = "tests") {
    v1::ReserveCidRequest request;
    request.set_parent("networks/default");
    if (cid != 0) request.mutable_cid()->set_static_cid(cid);
    request.set_holder(holder);
    return Ask(daemon_, &Stub::ReserveCid, request, lease);
  }
  grpc::Status Release(const std::string& name, bool force = false) {
    v1::ReleaseCidRequest request;
    request.set_name(name);
    request.set_force(force);
    google::protobuf::Empty nothing;
    return Ask(daemon_, &Stub::ReleaseCid, request, &nothing);
  }
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_NETWORK_FIXTURE_H_
