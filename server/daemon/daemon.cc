// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/daemon.h"

#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/unique_id.h"
#include "server/daemon/configured_objects.h"
#include "server/host/log.h"
#include "server/host/runtime_dir.h"
#include "server/manager/vm_refusals.h"
#include "server/model/saved_state.h"
#include "server/service/connection_event.h"
#include "server/service/forward_event.h"
#include "server/service/reload_conversion.h"
#include "server/store/state_file.h"

namespace kinsock {
namespace {

// How long the memory of a flood of calls may stay with the allocator.
constexpr std::chrono::seconds kMemoryInterval{10};

// Where sockets of the API's VMs may be. `vm_socket_dir`: that of the configuration that the daemon was started with.
SocketDirs DirsOf(const Config& config, const std::string& vm_socket_dir) {
  SocketDirs dirs;
  if (config.socket_dirs.empty()) return dirs;
  dirs.Allow(RuntimeDir());
  if (!vm_socket_dir.empty()) dirs.Allow(vm_socket_dir);
  for (const std::string& directory : config.socket_dirs) dirs.Allow(directory);
  return dirs;
}

// Clients have been told, and changes that were answered are on the disk: only what hangs is left.
void EndWithoutReactor(size_t reactor) {
  Log(LogLevel::kError, "reactor.stuck")
      .With("reactor", static_cast<int64_t>(reactor))
      .With("message", "it does not stop; the process ends without it");
  StopLogging();
  _exit(1);
}

}  // namespace

Daemon::Daemon(Config config, std::function<ConfigReading()> reread, std::vector<ActivatedSocket> activated)
    : config_(std::move(config)),
      reread_(std::move(reread)),
      instance_(RandomUuid()),
      start_time_(std::chrono::system_clock::now()),
      signals_(
          loop_, [this] { stop_requested_ = true; }, [this] { OnHangup(); }),
      api_sockets_(config_, sockets_, std::move(activated)),
      api_connections_(Clock::Monotonic(), ApiConnections::Limits()),
      access_(api_connections_, config_.api_roles),
      events_(loop_),
      audit_(loop_, events_, access_),
      lifecycle_events_(loop_, events_),
      denials_(loop_,
               {.type = v1::Event::DENIAL,
                .severity = v1::Event::WARNING,
                .reason = "DENIALS_SUPPRESSED",
                .what = "denials"},
               [this](v1::Event event) { events_.Add(std::move(event)); }),
      logged_(loop_,
              {.type = v1::Event::CONNECTION,
               .severity = v1::Event::INFO,
               .reason = "CONNECTIONS_SUPPRESSED",
               .what = "connections"},
              [this](v1::Event event) { events_.Add(std::move(event)); }),
      hub_(RandomEpoch()) {
  access_.set_on_denied([this](const absl::StatusOr<Caller>& caller, std::string_view method, Role need) {
    audit_.Denied(caller, method, need);
  });
  hub_.set_observer([this](const VmEvent& change) {
    lifecycle_events_.On(change);
    if (change.type != VmEvent::Type::kDeleted) return;
    denials_.Forget(change.vm->definition->uid);
    logged_.Forget(change.vm->definition->uid);
  });
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
  KINSOCK_RETURN_IF_ERROR(api_sockets_.Bind());
  KINSOCK_RETURN_IF_ERROR(CheckStop());
  KINSOCK_ASSIGN_OR_RETURN(SavedState saved, OpenState());
  KINSOCK_RETURN_IF_ERROR(CheckStop());
  KINSOCK_RETURN_IF_ERROR(CheckNames(config_, saved, StateFile::PathIn(config_.state_dir)));
  KINSOCK_RETURN_IF_ERROR(CheckForwards(config_.forwards, config_.vms, saved));
  MakeManagers();
  KINSOCK_RETURN_IF_ERROR(Populate(std::move(saved)));
  StartReloader();
  // The reactors run, and their callers come.
  if (!api_sockets_.empty()) {
    StandBehindReactors();
    MakeServices();
  }
  KINSOCK_RETURN_IF_ERROR(StartApi());
  KINSOCK_RETURN_IF_ERROR(StartHttp());
  LogStart();
  service_manager_ = std::make_unique<ServiceManager>(loop_, *heartbeat_, [this] { return StatusLine(); });
  service_manager_->Ready();
  return absl::OkStatus();
}

// The loop goes round only now and then during the start, which takes seconds for many VMs.
bool Daemon::StopIsAsked() {
  signals_.Look();
  return stop_requested_;
}

absl::Status Daemon::CheckStop() {
  return StopIsAsked() ? absl::CancelledError("it was asked to end before it served") : absl::OkStatus();
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

// The reactors, and what decides what happens on them.
void Daemon::MakeManagers() {
  pool_ = std::make_unique<ReactorPool>(
      loop_,
      ReactorPool::Options{.reactors = config_.reactors,
                           .max_spin = config_.poll,
                           .on_denials = [this](const CollectedFlows& flows) { Tell(flows, DenialEvent, denials_); },
                           .on_logged = [this](const CollectedFlows& flows) { Tell(flows, AllowedEvent, logged_); },
                           .on_stuck = EndWithoutReactor},
      [this](DeviceId device, const DeviceStatus& status) { manager_->OnDeviceStatus(device, status); });
  VmJournal& journal = store_ != nullptr ? static_cast<VmJournal&>(*store_) : no_journal_;
  networks_ = std::make_unique<NetworkManager>(loop_, Clock::Monotonic(), *pool_, journal);
  manager_ = std::make_unique<VmManager>(loop_, Clock::Monotonic(), *pool_, *networks_, hub_, sockets_, journal,
                                         VmSocketDirOf(config_));
  forwards_ = std::make_unique<ForwardManager>(loop_, Clock::Monotonic(), *pool_, *manager_, sockets_, journal,
                                               [this](ForwardManager::Change change, const ForwardDefinition& forward) {
                                                 events_.Add(ForwardEvent(change, forward));
                                               });
  manager_->LimitVmsTo(config_.quota);
  manager_->LimitSocketsTo(DirsOf(config_, config_.vm_socket_dir));
  forwards_->LimitSocketsTo(DirsOf(config_, config_.vm_socket_dir));
  heartbeat_ = std::make_unique<Heartbeat>(loop_, *pool_);
  snapshots_ = std::make_unique<FlowSnapshots>(loop_, *pool_);
}

void Daemon::LogStart() const {
  Log(LogLevel::kInfo, "daemon.started")
      .With("vms", static_cast<int64_t>(manager_->size()))
      .With("api", absl::StrJoin(config_.api_sockets, ","))
      .With("api_tcp", absl::StrJoin(config_.api_tcp, ",",
                                     [](std::string* out, const TcpEndpoint& endpoint) { *out += endpoint.text(); }))
      .With("api_view", absl::StrJoin(config_.api_view_sockets, ","))
      .With("http", config_.http.endpoint())
      .With("reactors", static_cast<int64_t>(pool_->size()))
      .With("instance", instance_);
}

void Daemon::StartReloader() {
  const auto apply_settings = [this](const Config& config, EventLoop::Task done) {
    manager_->LimitSocketsTo(DirsOf(config, config_.vm_socket_dir));
    forwards_->LimitSocketsTo(DirsOf(config, config_.vm_socket_dir));
    ChangeRoles(config.api_roles);
    manager_->ChangeLimitOfVms(config.quota, std::move(done));
  };
  const auto on_report = [this](const ReloadReport& report) { events_.Add(ReloadEvent(report)); };
  const auto on_activity = [this](bool under_way) {
    if (service_manager_ == nullptr) return;
    under_way ? service_manager_->Reloading() : service_manager_->Reloaded();
  };
  reloader_ = std::make_unique<ConfigReloader>(loop_, config_, reread_, *networks_, *manager_, *forwards_,
                                               VmSocketDirOf(config_),
                                               ConfigReloader::Hooks{apply_settings, on_report, on_activity});
}

// Whoever has a role, or none, has it from his next call on. The sockets' files let in whom it concerns.
void Daemon::ChangeRoles(const RoleRules& roles) {
  const bool others = roles.concern_other_users();
  const bool other_files = others != access_.rules()->concern_other_users();
  access_.SetRules(roles);
  if (other_files) api_sockets_.OpenTo(others);
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
    sample.tunnels = connection_service_->tunnels();
    sample.capture_lost = connection_service_->captures().lost();
  }
  sample.event_watches = {events_.watches(), events_.lagged_watches()};
  sample.api_connections = api_connections_.size();
  sample.api_calls = access_.calls().stats();
  sample.forgotten_flows = pool_->forgotten_flows();
  sample.merged_pairs = pool_->merged_pairs();
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
  info.tunnels = static_cast<uint32_t>(connection_service_->tunnels());
  info.draining = manager_->draining();
  const std::vector<uint64_t> connections = manager_->ConnectionsByReactor();
  for (const ReactorPool::ReactorInfo& each : pool_->Describe()) {
    info.each_reactor.push_back({each, connections[info.each_reactor.size()]});
  }
  return info;
}

void Daemon::Tell(const CollectedFlows& flows, ToEvent to_event, VmEventLimiter& limiter) {
  for (const auto& [device, of_one] : flows.by_initiator) {
    const VmSnapshotPtr initiator = manager_->OfDevice(device);
    VmEventLimiter::Vm vm;
    if (initiator != nullptr) vm = {initiator->definition->uid, initiator->definition->name()};
    for (const FlowInfo& flow : of_one.first) {
      const FlowVms vms{initiator, manager_->OfDevice(flow.target.device)};
      limiter.Add(vm, to_event(flow, vms, ConnectionService::ShortInstance(instance_)));
    }
    limiter.Suppress(vm, of_one.more);
  }
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
  access_.Close(ShuttingDown());
  if (api_ != nullptr) api_->Close();
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
    // gRPC waits for calls that finish on this thread: so somebody else waits for gRPC.
    std::thread waiter([this] {
      api_->Shutdown();
      loop_.Post([this] { api_is_down_ = true; });
    });
    while (!api_is_down_) loop_.RunOnce(std::chrono::milliseconds(1000));
    waiter.join();
  }
  Log(LogLevel::kInfo, "daemon.stopped").With("vms", static_cast<int64_t>(manager_->size()));
}

}  // namespace kinsock
