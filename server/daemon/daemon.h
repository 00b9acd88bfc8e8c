// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_DAEMON_H_
#define KINSOCK_SERVER_DAEMON_DAEMON_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/config/config.h"
#include "server/config/config_dump.h"
#include "server/config/config_reloader.h"
#include "server/config/flag_config.h"
#include "server/daemon/api_sockets.h"
#include "server/daemon/service_manager.h"
#include "server/host/activated_sockets.h"
#include "server/host/process.h"
#include "server/host/socket_registry.h"
#include "server/manager/event_hub.h"
#include "server/manager/forward_manager.h"
#include "server/manager/network_manager.h"
#include "server/manager/vm_journal.h"
#include "server/manager/vm_manager.h"
#include "server/reactors/flow_snapshots.h"
#include "server/reactors/heartbeat.h"
#include "server/reactors/reactor_pool.h"
#include "server/rpc/access.h"
#include "server/rpc/api_connections.h"
#include "server/rpc/api_greeter.h"
#include "server/rpc/api_listener.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/api_server.h"
#include "server/rpc/audit.h"
#include "server/rpc/event_log.h"
#include "server/rpc/vm_event_limiter.h"
#include "server/service/admin_service.h"
#include "server/service/connection_service.h"
#include "server/service/forward_service.h"
#include "server/service/lifecycle_events.h"
#include "server/service/network_service.h"
#include "server/service/vm_service.h"
#include "server/store/state_store.h"
#include "web/daemon_sample.h"
#include "web/observer.h"

namespace kinsock {

// All of kinsockd, put together and taken apart in the reverse order.
//
//     Start:  lock and bind the API sockets - state file - reactors - VMs of the configuration, then those of the
//             state file - forwards likewise - gRPC - HTTP - accept - READY
//     Stop:   no new API connections - HTTP gone - watches end - calls finish - gRPC gone - sockets removed - reactors
//             joined
//
// Nothing is made before the API sockets are ours: a second daemon is refused before it touches anything.
//
// Thread: main, which becomes the loop's.
class Daemon {
 public:
  // `reread`: reads the configuration once more; null: there is no file. `activated`: served besides what the
  // configuration names, and in place of what it names with the same path.
  explicit Daemon(Config config, std::function<ConfigReading()> reread = nullptr,
                  std::vector<ActivatedSocket> activated = {});
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Everything is served when this returns OK. Else: a line for each thing that is wrong, and nothing is left.
  // INVALID_ARGUMENT: the configuration wants what cannot be had. CANCELLED: SIGTERM or SIGINT came meanwhile; the
  // state is as it was.
  absl::Status Start();

  // Serves until SIGTERM, SIGINT or RequestStop(), then stops.
  void Run();

  // Any thread.
  void RequestStop();

 private:
  absl::StatusOr<SavedState> OpenState();
  void MakeManagers();
  absl::Status Populate(SavedState saved);
  absl::Status CreateConfiguredVms();
  absl::Status CreateConfiguredForwards(bool of_configured);
  absl::Status ServeSavedVms();
  absl::Status ServeSavedForwards();
  absl::Status Await(absl::FunctionRef<void(EventLoop::Task)> begin);
  bool StopIsAsked();
  absl::Status CheckStop();
  void MakeServices();
  absl::Status StartApi();
  void StartReloader();
  void ChangeRoles(const RoleRules& roles);
  void OnHangup();
  ConfigSnapshot LookAtConfig();
  absl::Status StartHttp();
  void LogStart() const;
  DaemonSample Sample();
  void OnReactorsAlive(bool alive);
  std::string StatusLine() const;
  void ReturnMemoryFromTimeToTime();
  DaemonInfo Look();
  using ToEvent = v1::Event (*)(const FlowInfo& flow, const FlowVms& vms, const std::string& instance);
  void Tell(const CollectedFlows& flows, ToEvent to_event, VmEventLimiter& limiter);
  void Stop();

  const Config config_;
  const std::function<ConfigReading()> reread_;
  const std::string instance_;  // id of this start
  const std::chrono::system_clock::time_point start_time_;
  bool stop_requested_ = false;
  bool api_is_down_ = false;
  bool dataplane_is_alive_ = true;

  // In the order of construction: who comes later uses who comes earlier.
  EventLoop loop_;
  SignalWatch signals_;
  SocketRegistry sockets_;
  ApiSockets api_sockets_;
  ApiConnections api_connections_;
  ApiMetrics api_metrics_;
  Access access_;
  EventLog events_;
  Audit audit_;
  LifecycleEvents lifecycle_events_;
  VmEventLimiter denials_;  // of connections
  VmEventLimiter logged_;   // connections that policies want told
  NoJournal no_journal_;
  std::unique_ptr<StateStore> store_;  // null: memory only
  EventHub hub_;
  std::unique_ptr<ReactorPool> pool_;
  std::unique_ptr<NetworkManager> networks_;
  std::unique_ptr<VmManager> manager_;
  std::unique_ptr<ForwardManager> forwards_;
  std::unique_ptr<ConfigReloader> reloader_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::unique_ptr<FlowSnapshots> snapshots_;
  std::unique_ptr<VmService> vm_service_;
  std::unique_ptr<ConnectionService> connection_service_;
  std::unique_ptr<NetworkService> network_service_;
  std::unique_ptr<ForwardService> forward_service_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<ApiGreeter> greeter_;
  std::vector<std::unique_ptr<ApiListener>> listeners_;
  std::unique_ptr<Observer> observer_;
  std::unique_ptr<ServiceManager> service_manager_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_DAEMON_H_
