// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_FORWARD_CLIENT_H_
#define KINSOCK_TESTS_SERVER_FORWARD_CLIENT_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "tests/server/running_daemon.h"

namespace kinsock::testing {

// Calls of ForwardService, with a deadline. The stub outlives the client.
class ForwardClient {
 public:
  explicit ForwardClient(v1::ForwardService::Stub& stub) : stub_(stub) {}

  using Stub = v1::ForwardService::Stub;

  template <typename Request, typename Response>
  grpc::Status Ask(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    SetDeadline(context);
    Response ignored;
    return (stub_.*method)(&context, request, response != nullptr ? response : &ignored);
  }

  // Who connects to `listen` gets to the guest's port.
  static v1::CreateForwardRequest ToGuest(const std::string& id, const std::string& vm, uint32_t port,
                                          const std::string& listen) {
    v1::CreateForwardRequest request;
    request.set_forward_id(id);
    request.mutable_forward()->set_vm("vms/" + vm);
    request.mutable_forward()->set_guest_port(port);
    request.mutable_forward()->set_direction(v1::Forward::TO_GUEST);
    request.mutable_forward()->set_listen(listen);
    return request;
  }
  // Who in the guest calls the host's port gets to `target`.
  static v1::CreateForwardRequest FromGuest(const std::string& id, const std::string& vm, uint32_t port,
                                            const std::string& target) {
    v1::CreateForwardRequest request = ToGuest(id, vm, port, "");
    request.mutable_forward()->set_direction(v1::Forward::FROM_GUEST);
    request.mutable_forward()->set_target(target);
    return request;
  }

  grpc::Status Create(const v1::CreateForwardRequest& request, v1::Forward* forward = nullptr) {
    return Ask(&Stub::CreateForward, request, forward);
  }
  grpc::Status Update(const v1::UpdateForwardRequest& request, v1::Forward* forward = nullptr) {
    return Ask(&Stub::UpdateForward, request, forward);
  }
  grpc::Status Delete(const v1::DeleteForwardRequest& request, v1::Forward* forward = nullptr) {
    return Ask(&Stub::DeleteForward, request, forward);
  }
  grpc::Status Delete(const std::string& id) {
    v1::DeleteForwardRequest request;
    request.set_name("forwards/" + id);
    return Delete(request);
  }
  grpc::Status Get(const std::string& id, v1::Forward* forward = nullptr) {
    v1::GetForwardRequest request;
    request.set_name("forwards/" + id);
    return Ask(&Stub::GetForward, request, forward);
  }
  v1::Forward::Status StatusOf(const std::string& id) {
    v1::Forward forward;
    Get(id, &forward);
    return forward.status();
  }
  // Names, from all pages of `page_size`; `vm`: of this one only, "" for all.
  std::vector<std::string> List(const std::string& vm = "", int page_size = 0) {
    std::vector<std::string> names;
    v1::ListForwardsRequest request;
    request.set_vm(vm);
    request.set_page_size(page_size);
    do {
      v1::ListForwardsResponse page;
      if (!Ask(&Stub::ListForwards, request, &page).ok()) return {"error"};
      for (const v1::Forward& forward : page.forwards()) names.push_back(forward.name());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }

 private:
  Stub& stub_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_FORWARD_CLIENT_H_
