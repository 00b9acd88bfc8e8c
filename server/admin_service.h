// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_ADMIN_SERVICE_H_
#define KINSOCK_SERVER_ADMIN_SERVICE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/access.h"

namespace kinsock {

// What GetInfo tells; the main thread fills it for each call.
struct DaemonInfo {
  std::string instance_id;
  std::chrono::system_clock::time_point start_time;
  uint32_t vms = 0;
  uint32_t active_vms = 0;
  uint32_t watches = 0;
  uint32_t api_connections = 0;
  uint32_t quarantined_cids = 0;
  uint32_t reactors = 0;
};

// kinsock.v1.AdminService: posts to main, which looks around, and finishes from there.
//
// Thread: any (gRPC's). `main` outlives the gRPC server, and runs until it is shut down.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // `look` runs on the main thread.
  AdminService(EventLoop& main, std::function<DaemonInfo()> look, const Access& access);

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context, const v1::GetInfoRequest* request,
                                    v1::Info* response) override;

 private:
  EventLoop& main_;
  const std::function<DaemonInfo()> look_;
  const Access& access_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_ADMIN_SERVICE_H_
