// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_FORWARD_SERVICE_H_
#define KINSOCK_SERVER_SERVICE_FORWARD_SERVICE_H_

#include "api/kinsock/v1/forward_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/manager/forward_manager.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/unary_calls.h"

namespace kinsock {

// kinsock.v1.ForwardService: converts on gRPC's threads, posts to main, where the manager decides, and finishes from
// there.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class ForwardService final : public v1::ForwardService::CallbackService {
 public:
  ForwardService(EventLoop& main, ForwardManager& forwards, const Access& access, Audit& audit)
      : forwards_(forwards), calls_(main, access, audit) {}

  grpc::ServerUnaryReactor* CreateForward(grpc::CallbackServerContext* context, const v1::CreateForwardRequest* request,
                                          v1::Forward* response) override;
  grpc::ServerUnaryReactor* GetForward(grpc::CallbackServerContext* context, const v1::GetForwardRequest* request,
                                       v1::Forward* response) override;
  grpc::ServerUnaryReactor* ListForwards(grpc::CallbackServerContext* context, const v1::ListForwardsRequest* request,
                                         v1::ListForwardsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateForward(grpc::CallbackServerContext* context, const v1::UpdateForwardRequest* request,
                                          v1::Forward* response) override;
  grpc::ServerUnaryReactor* DeleteForward(grpc::CallbackServerContext* context, const v1::DeleteForwardRequest* request,
                                          v1::Forward* response) override;

 private:
  ForwardManager& forwards_;  // main thread's
  UnaryCalls calls_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_FORWARD_SERVICE_H_
