// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_VM_SERVICE_H_
#define KINSOCK_SERVER_SERVICE_VM_SERVICE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/manager/event_hub.h"
#include "server/manager/vm_manager.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/unary_calls.h"
#include "server/service/vm_waits.h"

namespace kinsock {

// kinsock.v1.VmService: converts on gRPC's threads, posts to main, where the manager decides, and finishes from there.
// Nothing waits in between, so no thread is held, and a client that cancels merely is not answered.
//
// Thread: any (gRPC's). `main` and the others outlive the gRPC server, and main runs until it is shut down.
class VmService final : public v1::VmService::CallbackService {
 public:
  // gRPC clients refuse messages above 4 MiB; a VM has at most some 30 KiB, statistics included.
  static constexpr size_t kMaxPageBytes = 3u << 20;

  VmService(EventLoop& main, VmManager& manager, EventHub& hub, const Access& access, Audit& audit)
      : main_(main),
        manager_(manager),
        hub_(hub),
        access_(access),
        calls_(main, access, audit),
        waits_(main, manager, hub) {}

  grpc::ServerUnaryReactor* CreateVm(grpc::CallbackServerContext* context, const v1::CreateVmRequest* request,
                                     v1::Vm* response) override;
  grpc::ServerUnaryReactor* ApplyVm(grpc::CallbackServerContext* context, const v1::ApplyVmRequest* request,
                                    v1::Vm* response) override;
  grpc::ServerUnaryReactor* UpdateVm(grpc::CallbackServerContext* context, const v1::UpdateVmRequest* request,
                                     v1::Vm* response) override;
  grpc::ServerUnaryReactor* GetVm(grpc::CallbackServerContext* context, const v1::GetVmRequest* request,
                                  v1::Vm* response) override;
  grpc::ServerUnaryReactor* ListVms(grpc::CallbackServerContext* context, const v1::ListVmsRequest* request,
                                    v1::ListVmsResponse* response) override;
  grpc::ServerUnaryReactor* WaitVm(grpc::CallbackServerContext* context, const v1::WaitVmRequest* request,
                                   v1::Vm* response) override;
  grpc::ServerUnaryReactor* DrainVm(grpc::CallbackServerContext* context, const v1::DrainVmRequest* request,
                                    v1::Vm* response) override;
  grpc::ServerUnaryReactor* ResumeVm(grpc::CallbackServerContext* context, const v1::ResumeVmRequest* request,
                                     v1::Vm* response) override;
  grpc::ServerUnaryReactor* ResetVm(grpc::CallbackServerContext* context, const v1::ResetVmRequest* request,
                                    v1::Vm* response) override;
  grpc::ServerUnaryReactor* DeleteVm(grpc::CallbackServerContext* context, const v1::DeleteVmRequest* request,
                                     v1::Vm* response) override;
  grpc::ServerWriteReactor<v1::WatchVmsResponse>* WatchVms(grpc::CallbackServerContext* context,
                                                           const v1::WatchRequest* request) override;

  // Main thread: what ListVms and GetVm answer to a caller who may see.
  absl::Status List(const v1::ListVmsRequest& request, v1::ListVmsResponse& response) const;
  absl::Status Read(const v1::GetVmRequest& request, v1::Vm& response) const;

 private:
  // Has the manager decide about what a client wants, and answers.
  template <typename Request, typename Wanted>
  grpc::ServerUnaryReactor* Decide(std::string_view method, grpc::CallbackServerContext* context,
                                   const Request& request, absl::StatusOr<Wanted> (*convert)(const Request&),
                                   void (VmManager::*decide)(Wanted, VmManager::Done), v1::Vm* response);
  void AddStats(const std::string& id, v1::Vm& vm) const;

  EventLoop& main_;
  VmManager& manager_;  // main thread's
  EventHub& hub_;       // main thread's, but for its epoch
  const Access& access_;
  UnaryCalls calls_;
  VmWaits waits_;  // main thread's
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_VM_SERVICE_H_
