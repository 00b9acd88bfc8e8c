// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/daemon.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/unique_id.h"
#include "router/cid.h"
#include "server/host/log.h"
#include "server/host/peer.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/manager/forward_event.h"
#include "server/manager/vm_refusals.h"
#include "server/model/saved_state.h"
#include "server/service/connection_event.h"
#include "server/service/reload_conversion.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr int kApiBacklog = 128;
// The daemon's user and group may connect.
constexpr mode_t kApiSocketMode = 0660;
constexpr mode_t kRuntimeDirMode = 0750;
// Everybody may, when others have roles: the kernel then tells who they are, and the role decides.
constexpr mode_t kSharedApiSocketMode = 0666;
constexpr mode_t kSharedRuntimeDirMode = 0711;
// How long calls that are under way may take to finish when the daemon stops.
constexpr std::chrono::milliseconds kGrace{2000};
// How long the memory of a flood of calls may stay with the allocator.
constexpr std::chrono::seconds kMemoryInterval{10};

std::set<std::pair<std::string, Cid>> FixedCids(const std::vector<ConfiguredVm>& vms) {
  std::set<std::pair<std::string, Cid>> cids;
  for (const ConfiguredVm& vm : vms) {
    if (vm.creation.spec.cid.kind == CidRequest::Kind::kFixed) {
      cids.insert({NetworkOf(vm.creation.spec), vm.creation.spec.cid.first});
    }
  }
  return cids;
}

// Where sockets of the API's VMs may be.
SocketDirs DirsOf(const Config& config) {
  SocketDirs dirs;
  if (config.socket_dirs.empty()) return dirs;
  dirs.Allow(RuntimeDir());
  for (const std::string& directory : config.socket_dirs) dirs.Allow(directory);
  return dirs;
}

}  // namespace

Daemon::Daemon(Config config, std::function<ConfigReading()> reread, std::vector<ActivatedSocket> activated)
    : config_(std::move(config)),
      reread_(std::move(reread)),
      instance_(RandomUuid()),
      start_time_(std::chrono::system_clock::now()),
      signals_(
          loop_, [this] { RequestStop(); }, [this] { OnHangup(); }),
      activated_(std::move(activated)),
      api_connections_(Clock::Monotonic(), ApiConnections::Limits()),
      access_(api_connections_, config_.api_roles),
      events_(loop_),
      audit_(loop_, events_, access_),
      lifecycle_events_(events_, Clock::Monotonic()),
      denials_(loop_, events_, EventLimiter::OfDenials("connections")),
      logged_(loop_, events_,
              {.type = v1::Event::CONNECTION,
               .severity = v1::Event::INFO,
               .object = "connections",
               .reason = "CONNECTIONS_SUPPRESSED",
               .what = "connections"}),
      hub_(RandomEpoch()) {
  access_.set_on_denied([this](const absl::StatusOr<Caller>& caller, std::string_view method, Role need) {
    audit_.Denied(caller, method, need);
  });
  hub_.set_observer([this](const VmEvent& change) { lifecycle_events_.On(change); });
}

// Against the order of construction where that matters: callers before what they call, and the reactors before the
// manager, whose callbacks they hold.
Daemon::~Daemon() {
  service_manager_.reset();
  observer_.reset();
  listeners_.clear();
  greeter_.reset();
  api_.reset();
  heartbeat_.reset();
  snapshots_.reset();
  pool_.reset();
  forwards_.reset();
  manager_.reset();
  networks_.reset();
  reloader_.reset();
}

absl::Status Daemon::Start() {
  KINSOCK_RETURN_IF_ERROR(signals_.Start());
  KINSOCK_RETURN_IF_ERROR(BindApi());
  KINSOCK_ASSIGN_OR_RETURN(SavedState saved, OpenState());
  KINSOCK_RETURN_IF_ERROR(CheckNames(saved));
  pool_ = std::make_unique<ReactorPool>(
      loop_,
      ReactorPool::Options{.reactors = config_.reactors,
                           .max_spin = config_.poll,
                           .on_denials = [this](const CollectedFlows& flows) { Tell(flows, DenialEvent, denials_); },
                           .on_logged = [this](const CollectedFlows& flows) { Tell(flows, AllowedEvent, logged_); }},
      [this](DeviceId device, const DeviceStatus& status) { manager_->OnDeviceStatus(device, status); });
  VmJournal& journal = store_ != nullptr ? static_cast<VmJournal&>(*store_) : no_journal_;
  networks_ = std::make_unique<NetworkManager>(loop_, Clock::Monotonic(), *pool_, journal);
  manager_ =
      std::make_unique<VmManager>(loop_, Clock::Monotonic(), *pool_, *networks_, hub_, sockets_, journal, RuntimeDir());
  forwards_ = std::make_unique<ForwardManager>(loop_, Clock::Monotonic(), *pool_, *manager_, sockets_, journal,
                                               [this](ForwardManager::Change change, const ForwardDefinition& forward) {
                                                 events_.Add(ForwardEvent(change, forward));
                                               });
  manager_->LimitVmsTo(config_.quota);
  manager_->LimitSocketsTo(DirsOf(config_));
  forwards_->LimitSocketsTo(DirsOf(config_));
  heartbeat_ = std::make_unique<Heartbeat>(loop_, *pool_);
  snapshots_ = std::make_unique<FlowSnapshots>(*pool_);
  networks_->Restore(saved, FixedCids(config_.vms));
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredNetworks());
  forwards_->Restore(saved);
  manager_->Restore(std::move(saved), FixedCids(config_.vms));
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredVms());
  KINSOCK_RETURN_IF_ERROR(CreateConfiguredForwards());
  ServeSaved();
  StartReloader();
  // The reactors run, and their callers come.
  if (!api_sockets_.empty() || http_socket_.has_value()) {
    StandBehindReactors();
    MakeServices();
  }
  KINSOCK_RETURN_IF_ERROR(StartApi());
  StartHttp();
  Log(LogLevel::kInfo, "daemon.started")
      .With("vms", static_cast<int64_t>(manager_->size()))
      .With("api", absl::StrJoin(config_.api_sockets, ","))
      .With("api_tcp", absl::StrJoin(config_.api_tcp, ",",
                                     [](std::string* out, const TcpEndpoint& endpoint) { *out += endpoint.text(); }))
      .With("api_view", absl::StrJoin(config_.api_view_sockets, ","))
      .With("http", config_.http.endpoint())
      .With("reactors", static_cast<int64_t>(pool_->size()))
      .With("instance", instance_);
  service_manager_ = std::make_unique<ServiceManager>(loop_, *heartbeat_, [this] { return StatusLine(); });
  service_manager_->Ready();
  return absl::OkStatus();
}

// Their files and locks are systemd's.
absl::Status Daemon::TakeActivated() {
  for (ActivatedSocket& given : activated_) {
    const std::string path = CanonicalSocketPath(given.path);
    const bool http = given.kind == ActivatedSocket::Kind::kHttp;
    KINSOCK_RETURN_IF_ERROR(sockets_.CheckFree(path, false));
    sockets_.Take(path, false, http ? "HTTP" : "the API");
    BoundSocket socket = BoundSocket::WithoutFile(std::move(given.listener));
    if (http) {
      http_socket_ = std::move(socket);
    } else {
      const bool view = given.kind == ActivatedSocket::Kind::kView;
      api_sockets_.push_back({std::move(socket), view ? ApiSocket::Kind::kView : ApiSocket::Kind::kFull});
    }
  }
  return absl::OkStatus();
}

bool Daemon::IsActivated(ActivatedSocket::Kind kind, const std::string& path) const {
  return std::any_of(activated_.begin(), activated_.end(), [&](const ActivatedSocket& given) {
    return given.kind == kind && CanonicalSocketPath(given.path) == CanonicalSocketPath(path);
  });
}

absl::Status Daemon::BindApi() {
  KINSOCK_RETURN_IF_ERROR(TakeActivated());
  for (const std::string& path : config_.api_sockets) {
    if (IsActivated(ActivatedSocket::Kind::kApi, path)) continue;
    KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket, BindSocket(path, "--api", "the API"));
    api_sockets_.push_back({std::move(socket), ApiSocket::Kind::kFull});
  }
  for (const std::string& path : config_.api_view_sockets) {
    if (IsActivated(ActivatedSocket::Kind::kView, path)) continue;
    KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket, BindSocket(path, "--api-view", "the API"));
    api_sockets_.push_back({std::move(socket), ApiSocket::Kind::kView});
  }
  for (const TcpEndpoint& endpoint : config_.api_tcp) {
    KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, endpoint.Listen(kApiBacklog));
    sockets_.Take(endpoint.place(), false, "the API");
    api_sockets_.push_back({BoundSocket::WithoutFile(std::move(listener)), ApiSocket::Kind::kTcp});
  }
  return BindHttp();
}

absl::Status Daemon::BindHttp() {
  if (!config_.http.socket.empty() && IsActivated(ActivatedSocket::Kind::kHttp, config_.http.socket)) {
    return absl::OkStatus();
  }
  if (http_socket_.has_value() && config_.http.wanted()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--http: ", config_.http.endpoint(),
                     " is another socket than systemd gives for HTTP; take one of the two out"));
  }
  if (config_.http.tcp.has_value()) {
    KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, config_.http.tcp->Listen(kApiBacklog, "--http"));
    sockets_.Take(config_.http.tcp->place(), false, "HTTP");
    http_socket_ = BoundSocket::WithoutFile(std::move(listener));
  } else if (!config_.http.socket.empty()) {
    KINSOCK_ASSIGN_OR_RETURN(http_socket_, BindSocket(config_.http.socket, "--http", "HTTP"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedState> Daemon::OpenState() {
  if (config_.state_dir.empty()) return SavedState();
  KINSOCK_ASSIGN_OR_RETURN(store_, StateStore::Open(loop_, config_.state_dir));
  SavedState saved = store_->TakeSaved();
  Log(LogLevel::kInfo, store_->is_new() ? "state.new" : "state.opened")
      .With("file", store_->path())
      .With("vms", static_cast<int64_t>(saved.vms.size()));
  return saved;
}

absl::StatusOr<BoundSocket> Daemon::BindSocket(const std::string& path, const std::string& setting,
                                               const char* holder) {
  const bool shared = config_.api_roles.concern_other_users();
  // The default directory is the daemon's own; any other is its owner's to make.
  const std::string runtime_dir = RuntimeDir();
  if (path.substr(0, path.rfind('/')) == runtime_dir && mkdir(runtime_dir.c_str(), kRuntimeDirMode) == 0 && shared) {
    chmod(runtime_dir.c_str(), kSharedRuntimeDirMode);
  }
  const std::string canonical = CanonicalSocketPath(path);
  KINSOCK_RETURN_IF_ERROR(sockets_.CheckFree(canonical, false));
  // First of all: the lock would be made beside a place that is no good.
  const SocketPlace place = InspectSocketPlace(path, false);
  if (place.kind == SocketPlace::Kind::kRefused) {
    return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
                 absl::StrCat(setting, ": ", path, " ", place.reason));
  }
  KINSOCK_ASSIGN_OR_RETURN(LockFile lock, LockFile::Acquire(path + ".lock"));
  KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket,
                           BoundSocket::Listen(path, kApiBacklog, shared ? kSharedApiSocketMode : kApiSocketMode));
  sockets_.Take(canonical, false, holder);
  api_locks_.push_back(std::move(lock));
  return socket;
}

absl::StatusOr<Caller> Daemon::Identify(ApiSocket::Kind kind, int fd) const {
  if (kind == ApiSocket::Kind::kTcp) {
    // Who it is, the handshake will tell, and Access asks.
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return Caller{.transport = Caller::Transport::kTls};
  }
  KINSOCK_ASSIGN_OR_RETURN(const Peer peer, PeerOf(fd));
  const bool view_only = kind == ApiSocket::Kind::kView;
  const std::shared_ptr<const RoleRules> rules = access_.rules();
  const Role role = view_only ? rules->RoleOnViewSocket(peer) : rules->RoleOf(peer);
  return Caller{Caller::Transport::kUnix, role, peer.uid, peer.gid, peer.pid, view_only, "", peer.groups};
}

// By the socket everybody is a viewer whom its file lets in; over TCP nobody knows who it is, and the one who turned it
// on has said that everybody on this machine may look.
absl::StatusOr<Caller> Daemon::IdentifyOverHttp(int fd) const {
  if (config_.http.tcp.has_value()) return Caller{.transport = Caller::Transport::kTls, .role = Role::kViewer};
  KINSOCK_ASSIGN_OR_RETURN(const Peer peer, PeerOf(fd));
  const std::shared_ptr<const RoleRules> rules = access_.rules();
  const Role role = std::max(rules->RoleOnViewSocket(peer), rules->RoleOf(peer));
  return Caller{Caller::Transport::kUnix, role, peer.uid, peer.gid, peer.pid, false, "", peer.groups};
}

void Daemon::ServeSaved() {
  bool served = false;
  manager_->ServeRestored([&] { forwards_->ServeRestored([&served] { served = true; }); });
  while (!served) loop_.RunOnce(std::chrono::milliseconds(1000));
}

// What answers to clients of the API, and to the page.
void Daemon::MakeServices() {
  vm_service_ = std::make_unique<VmService>(loop_, *manager_, hub_, access_, audit_);
  connection_service_ = std::make_unique<ConnectionService>(loop_, *manager_, *networks_, *pool_, *snapshots_,
                                                            instance_, access_, audit_, config_.capture_payload);
  network_service_ = std::make_unique<NetworkService>(loop_, *networks_, *manager_, access_, audit_);
  forward_service_ = std::make_unique<ForwardService>(loop_, *forwards_, access_, audit_);
  const auto set_draining = [this](bool draining) {
    manager_->SetDraining(draining);
    if (api_ != nullptr) api_->SetVmsServing(!draining);
  };
  const auto reload = [this](ReloadRequest request, ConfigReloader::Done done) {
    reloader_->Reload(request, std::move(done));
  };
  admin_service_ = std::make_unique<AdminService>(
      loop_, AdminService::Hooks{[this] { return Look(); }, set_draining, reload, [this] { return LookAtConfig(); }},
      access_, audit_, events_);
}

absl::Status Daemon::StartApi() {
  if (api_sockets_.empty()) return absl::OkStatus();
  KINSOCK_ASSIGN_OR_RETURN(
      api_, ApiServer::Start({vm_service_.get(), connection_service_.get(), network_service_.get(),
                              forward_service_.get(), admin_service_.get()},
                             api_metrics_, config_.api_tcp.empty() ? std::nullopt : std::make_optional(config_.tls),
                             [this](const grpc::CallbackServerContext& context) { return access_.AdmitSchema(context); }));
  greeter_ = std::make_unique<ApiGreeter>(loop_, [this](UniqueFd connection) { api_->Serve(std::move(connection)); });
  for (ApiSocket& api : api_sockets_) {
    const ApiSocket::Kind kind = api.kind;
    const auto identify = [this, kind](int fd) { return Identify(kind, fd); };
    const auto serve = [this, kind](UniqueFd connection) {
      if (kind == ApiSocket::Kind::kTcp) return api_->ServeTls(std::move(connection));
      greeter_->Greet(std::move(connection));
    };
    listeners_.push_back(
        std::make_unique<ApiListener>(loop_, std::move(api.socket), api_connections_, identify, serve));
    KINSOCK_RETURN_IF_ERROR(listeners_.back()->Start());
  }
  api_sockets_.clear();
  api_->SetServing(true);
  heartbeat_->WatchReactors([this](bool alive) { OnReactorsAlive(alive); });
  ReturnMemoryFromTimeToTime();
  return absl::OkStatus();
}

void Daemon::StartReloader() {
  const auto apply_settings = [this](const Config& config, EventLoop::Task done) {
    manager_->LimitSocketsTo(DirsOf(config));
    forwards_->LimitSocketsTo(DirsOf(config));
    ChangeRoles(config.api_roles);
    manager_->ChangeLimitOfVms(config.quota, std::move(done));
  };
  const auto on_report = [this](const ReloadReport& report) { events_.Add(ReloadEvent(report)); };
  const auto on_activity = [this](bool under_way) {
    if (service_manager_ == nullptr) return;
    under_way ? service_manager_->Reloading() : service_manager_->Reloaded();
  };
  reloader_ = std::make_unique<ConfigReloader>(loop_, config_, reread_, *networks_, *manager_, *forwards_, RuntimeDir(),
                                               ConfigReloader::Hooks{apply_settings, on_report, on_activity});
}

// Whoever has a role, or none, has it from his next call on. The sockets' files let in whom it concerns.
void Daemon::ChangeRoles(const RoleRules& roles) {
  const bool shared = roles.concern_other_users();
  const bool other_files = shared != access_.rules()->concern_other_users();
  access_.SetRules(roles);
  if (!other_files) return;
  const std::string runtime_dir = RuntimeDir();
  std::vector<std::string> paths = config_.api_sockets;
  paths.insert(paths.end(), config_.api_view_sockets.begin(), config_.api_view_sockets.end());
  if (!config_.http.socket.empty()) paths.push_back(config_.http.socket);
  for (const std::string& path : paths) {
    struct stat directory;
    if (shared && path.substr(0, path.rfind('/')) == runtime_dir && stat(runtime_dir.c_str(), &directory) == 0 &&
        directory.st_uid == geteuid()) {
      chmod(runtime_dir.c_str(), kSharedRuntimeDirMode);
    }
    chmod(path.c_str(), shared ? kSharedApiSocketMode : kApiSocketMode);
  }
}

void Daemon::OnHangup() {
  if (reloader_ != nullptr) return reloader_->ReloadSoon();
  Log(LogLevel::kWarning, "config.not_reloaded").With("reason", "the daemon is still starting");
}

ConfigSnapshot Daemon::LookAtConfig() {
  ConfigSnapshot snapshot;
  snapshot.settings = reloader_->running();
  for (const NetworkSnapshot& network : networks_->List("", NetworkManager::kMaxNetworks)) {
    snapshot.networks.push_back(network.definition);
    const auto policies = networks_->List(network.definition->id, "", NetworkManager::kMaxPolicies);
    if (policies.ok()) snapshot.policies.insert(snapshot.policies.end(), policies->begin(), policies->end());
  }
  snapshot.vms = manager_->Snapshot();
  for (const ForwardSnapshot& forward : forwards_->List("", "", ForwardManager::kMaxForwards)) {
    snapshot.forwards.push_back(forward.definition);
  }
  return snapshot;
}

void Daemon::StartHttp() {
  if (!http_socket_.has_value()) return;
  observer_ = std::make_unique<Observer>(
      *std::exchange(http_socket_, std::nullopt), config_.http, [this](int fd) { return IdentifyOverHttp(fd); },
      Observer::Sources{[this] { return Sample(); },
                        loop_,
                        *heartbeat_,
                        api_metrics_,
                        {vm_service_.get(), connection_service_.get(), network_service_.get(), admin_service_.get()},
                        events_});
}

void Daemon::OnReactorsAlive(bool alive) {
  api_->SetDataPlaneServing(alive);
  if (alive == dataplane_is_alive_) return;
  dataplane_is_alive_ = alive;
  if (alive) {
    Log(LogLevel::kInfo, "dataplane.recovered");
  } else {
    Log(LogLevel::kError, "dataplane.stuck").With("message", "a reactor does not go round; /livez says which");
  }
}

// For a person who asks systemd.
std::string Daemon::StatusLine() const {
  const size_t vms = manager_->size();
  const size_t active = manager_->active();
  return absl::StrCat(vms, vms == 1 ? " VM, " : " VMs, ", active, active == 1 ? " guest runs" : " guests run",
                      manager_->draining() ? "; draining" : "");
}

DaemonSample Daemon::Sample() {
  DaemonSample sample;
  const VmManager::SnapshotList vms = manager_->Snapshot();
  sample.vms.reserve(vms->size());
  for (const VmSnapshotPtr& vm : *vms) {
    const absl::StatusOr<VmStats> stats = manager_->Stats(vm->definition->id);
    sample.vms.push_back({vm, stats.ok() ? stats->totals : DeviceTotals()});
  }
  sample.all = manager_->TotalStats().totals;
  for (NetworkSnapshot& network : networks_->List("", NetworkManager::kMaxNetworks)) {
    const std::string& id = network.definition->id;
    sample.networks.push_back(
        {id, networks_->CidsOf(id).counts(), network.default_allowed, network.default_denied,
         networks_->List(id, "", NetworkManager::kMaxPolicies).value_or(std::vector<PolicyDefinitionPtr>())});
  }
  sample.reactors = pool_->Describe();
  sample.durations = pool_->durations();
  if (store_ != nullptr) sample.store = store_->stats();
  sample.vm_watches = {hub_.subscribers(), hub_.lagged()};
  if (connection_service_ != nullptr) {
    sample.connection_watches = {connection_service_->watches(), connection_service_->lagged_watches()};
    sample.captures = connection_service_->captures().size();
    sample.capture_lost = connection_service_->captures().lost();
  }
  sample.event_watches = {events_.watches(), events_.lagged_watches()};
  sample.api_connections = api_connections_.size();
  sample.forgotten_flows = pool_->forgotten_flows();
  sample.dropped_log_lines = DroppedLogLines();
  sample.draining = manager_->draining();
  return sample;
}

void Daemon::ReturnMemoryFromTimeToTime() {
  loop_.RunAfter(kMemoryInterval, [this] {
    ReturnFreeMemory();
    ReturnMemoryFromTimeToTime();
  });
}

DaemonInfo Daemon::Look() {
  DaemonInfo info;
  info.instance_id = instance_;
  info.start_time = start_time_;
  info.vms = static_cast<uint32_t>(manager_->size());
  info.active_vms = static_cast<uint32_t>(manager_->active());
  info.watches = static_cast<uint32_t>(hub_.subscribers() + events_.watches() + connection_service_->watches());
  info.api_connections = static_cast<uint32_t>(api_connections_.size());
  info.quarantined_cids = static_cast<uint32_t>(networks_->resting_cids());
  info.reactors = static_cast<uint32_t>(pool_->size());
  info.draining = manager_->draining();
  const std::vector<uint64_t> connections = manager_->ConnectionsByReactor();
  for (const ReactorPool::ReactorInfo& each : pool_->Describe()) {
    info.each_reactor.push_back({each, connections[info.each_reactor.size()]});
  }
  return info;
}

void Daemon::Tell(const CollectedFlows& flows, ToEvent to_event, EventLimiter& limiter) {
  for (const FlowInfo& flow : flows.first) {
    const FlowVms vms{manager_->OfDevice(flow.initiator.device), manager_->OfDevice(flow.target.device)};
    limiter.Add(to_event(flow, vms, ConnectionService::ShortInstance(instance_)));
  }
  limiter.Suppress(flows.more);
}

void Daemon::Run() {
  while (!stop_requested_) loop_.RunOnce(std::chrono::milliseconds::max());
  Stop();
}

void Daemon::RequestStop() {
  loop_.Post([this] { stop_requested_ = true; });
}

void Daemon::Stop() {
  service_manager_->Stopping();
  heartbeat_->WatchReactors(nullptr);
  for (const auto& listener : listeners_) listener->Stop();
  greeter_.reset();
  reloader_->Close();
  if (observer_ != nullptr) {
    observer_->Stop();
    // It may be asking this thread something.
    while (!observer_->stopped()) loop_.RunOnce(std::chrono::milliseconds(1000));
    observer_.reset();
  }
  manager_->Close();
  networks_->Close();
  forwards_->Close();
  hub_.Close(ShuttingDown());
  events_.Close(ShuttingDown());
  if (connection_service_ != nullptr) connection_service_->Close(ShuttingDown());
  if (api_ != nullptr) {
    api_->SetServing(false);
    // gRPC waits for calls that finish on this thread: so somebody else waits for gRPC.
    std::thread waiter([this] {
      api_->Shutdown(kGrace);
      loop_.Post([this] { api_is_down_ = true; });
    });
    while (!api_is_down_) loop_.RunOnce(std::chrono::milliseconds(1000));
    waiter.join();
  }
  Log(LogLevel::kInfo, "daemon.stopped").With("vms", static_cast<int64_t>(manager_->size()));
}

}  // namespace kinsock
