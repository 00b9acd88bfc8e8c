// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_ADMIN_SERVICE_H_
#define KINSOCK_SERVER_SERVICE_ADMIN_SERVICE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/event_loop.h"
#include "server/config/config_dump.h"
#include "server/config/config_reloader.h"
#include "server/config/reload_report.h"
#include "server/host/log.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/access.h"
#include "server/rpc/audit.h"
#include "server/rpc/event_log.h"
#include "server/rpc/unary_calls.h"

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
  uint32_t tunnels = 0;
  bool draining = false;
  struct Reactor {
    ReactorPool::ReactorInfo info;
    uint64_t connections = 0;
  };
  std::vector<Reactor> each_reactor;
};

// kinsock.v1.AdminService: posts to main, which looks around, and finishes from there.
//
// Thread: any (gRPC's). `main` outlives the gRPC server, and runs until it is shut down.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // What the service has done; all run on the main thread.
  struct Hooks {
    std::function<DaemonInfo()> look;
    std::function<void(bool)> set_draining;
    std::function<void(ReloadRequest, ConfigReloader::Done)> reload;
    std::function<ConfigSnapshot()> look_at_config;
  };

  AdminService(EventLoop& main, Hooks hooks, const Access& access, Audit& audit, EventLog& events);

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context, const v1::GetInfoRequest* request,
                                    v1::Info* response) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context, const v1::SetLogLevelRequest* request,
                                        google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                                  google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Reload(grpc::CallbackServerContext* context, const v1::ReloadRequest* request,
                                   v1::ReloadResponse* response) override;
  grpc::ServerWriteReactor<v1::ConfigDump>* DumpConfig(grpc::CallbackServerContext* context,
                                                       const v1::DumpConfigRequest* request) override;
  grpc::ServerWriteReactor<v1::Event>* WatchEvents(grpc::CallbackServerContext* context,
                                                   const v1::WatchRequest* request) override;

  // Main thread: what GetInfo answers.
  void Describe(v1::Info& info) const;

 private:
  EventLoop& main_;
  const Hooks hooks_;
  const Access& access_;
  Audit& audit_;
  UnaryCalls calls_;
  EventLog& events_;
  const LogLevel first_level_;  // with which the daemon was started
  std::atomic<size_t> open_dumps_{0};

  // Main thread's: the level goes back.
  std::optional<EventLoop::TimerId> level_timer_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_ADMIN_SERVICE_H_
