// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "base/unique_id.h"
#include "device/device_stats.h"
#include "server/host/log.h"
#include "server/host/vsock_listener.h"
#include "server/manager/managed_vm.h"
#include "server/manager/vm_lifecycle.h"
#include "server/manager/vm_refusals.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

std::shared_ptr<const VmDefinition> Define(VmCreation& creation, bool real) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = std::move(creation.id);
  if (real) definition->uid = RandomUuid();
  definition->create_time = std::chrono::system_clock::now();
  definition->labels = std::move(creation.labels);
  definition->annotations = std::move(creation.annotations);
  definition->spec = std::move(creation.spec);
  definition->configured = creation.configured;
  return definition;
}

HostAddress MakeHostAddress(const VmSnapshot& vm, const SocketRegistry& registry) {
  if (!vm.status.uds_path.empty()) return HostAddress::Unix(vm.status.uds_path);
  const std::optional<VsockProxy>& proxy = vm.definition->spec.vsock_proxy;
  if (!proxy.has_value()) return {};
  return HostAddress::Vsock(proxy->forward_cid, ReachesThisHost(proxy->forward_cid) ? registry.ports() : nullptr);
}

DeviceSpec MakeDeviceSpec(DeviceId device, const VmSnapshot& vm, const DeviceLimits& limits, VmSockets& sockets,
                          const SocketRegistry& registry, std::shared_ptr<DeviceStats> stats) {
  const VmSpec& spec = vm.definition->spec;
  DeviceSpec out;
  out.id = device;
  out.limits = limits;
  out.stats = std::move(stats);
  out.name = vm.definition->name();
  out.cid = vm.status.cid;
  out.former_cid = vm.status.former_cid;
  out.groups = spec.groups;
  if (out.groups.empty()) out.groups.push_back(VmSpec::kDefaultGroup);
  out.labels = vm.definition->labels;
  out.vhost_user_listener = sockets.TakeVhostUserListener();
  out.host_listener = sockets.TakeHostListener();
  out.host = MakeHostAddress(vm, registry);
  out.forwards = sockets.TakeForwards();
  out.queue_size = spec.queue_size != 0 ? spec.queue_size : VmSpec::kDefaultQueueSize;
  out.seqpacket = spec.allow_seqpacket.value_or(true);
  out.readiness = spec.readiness;
  out.tx_buffer_bytes = spec.tx_buffer_bytes != 0 ? spec.tx_buffer_bytes : VmSpec::kDefaultTxBufferBytes;
  return out;
}

}  // namespace

VmManager::VmManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, NetworkManager& networks, EventHub& hub,
                     SocketRegistry& sockets, VmJournal& journal, std::string vms_dir)
    : loop_(loop),
      clock_(clock),
      pool_(pool),
      networks_(networks),
      hub_(hub),
      sockets_(sockets),
      journal_(journal),
      vms_dir_(std::move(vms_dir)),
      requests_(clock),
      gate_(requests_),
      departed_(clock) {
  gone_.since = std::chrono::system_clock::now();
  networks_.SetOnQuota(
      [this](const std::string& network, EventLoop::Task done) { OnNetworkQuota(network, std::move(done)); });
}

VmManager::~VmManager() {
  if (check_timer_.has_value()) loop_.Cancel(*check_timer_);
  networks_.SetOnQuota(nullptr);
  for (const auto& [id, vm] : vms_) vm->CancelTimers(loop_);
}

void VmManager::Create(VmCreation creation, Done done) {
  loop_.thread().AssertHeld();
  if (closed_) return done(ShuttingDown());
  if (!creation.validate_only) done = gate_.Enter(creation.request_id, creation.request_hash, std::move(done));
  if (done) CreateOnce(std::move(creation), std::move(done));
}

void VmManager::CreateOnce(VmCreation creation, Done done) {
  VmSocketPaths paths = VmSocketPaths::Resolve(creation, vms_dir_);
  if (!creation.configured) paths.within = &socket_dirs_;
  VmStatus status;
  if (absl::Status fault = CheckCreation(creation, paths, status.cid); !fault.ok()) return done(std::move(fault));
  status.vhost_user_socket = paths.vhost_user;
  status.uds_path = paths.uds;
  if (creation.validate_only) {
    auto would_be = std::make_shared<VmSnapshot>();
    would_be->definition = Define(creation, false);
    would_be->status = std::move(status);
    return done(VmSnapshotPtr(std::move(would_be)));
  }

  const std::string name = "vms/" + creation.id;
  absl::StatusOr<VmSockets> sockets = VmSockets::Make(paths, name, sockets_);
  if (!sockets.ok()) return done(sockets.status());
  CidAllocator& cids = networks_.CidsOf(NetworkOf(creation.spec));
  if (absl::StatusOr<Cid> cid = cids.Allocate(creation.spec.cid, name); !cid.ok()) return done(cid.status());

  Vm& vm = AddVm(Define(creation, true), std::move(status));
  vm.stats_since = vm.now->definition->create_time;
  vm.saved = !creation.configured;
  NoteRequest(vm, creation.request_id, creation.request_hash, vm.made_for);
  vm.creator = std::move(done);
  vm.sockets.emplace(*std::move(sockets));
  AddDevice(vm, [this, device = vm.device](absl::Status served) { OnServed(device, std::move(served)); });
}

// A VM that is not served yet. `status`: its CID and its sockets' paths.
VmManager::Vm& VmManager::AddVm(std::shared_ptr<const VmDefinition> definition, VmStatus status) {
  auto vm = std::make_unique<Vm>(next_device_++);
  vm->stats = std::make_shared<DeviceStats>();
  vm->stats_since = std::chrono::system_clock::now();
  status.observed_generation = definition->generation;
  auto first = std::make_shared<VmSnapshot>();
  first->definition = std::move(definition);
  first->status = status;
  vm->now = std::move(first);
  BeginProvisioning(status, vm->stats_since);
  Vm& entry = *vm;
  device_ids_[entry.device] = entry.now->definition->id;
  vms_[entry.now->definition->id] = std::move(vm);
  entry.in_network = networks_.Exists(entry.network());
  if (entry.in_network) networks_.AddVm(entry.network());
  Publish(entry, VmEvent::Type::kAdded, std::move(status));
  ArmCheck();
  return entry;
}

void VmManager::AddDevice(Vm& vm, absl::AnyInvocable<void(absl::Status)> done) {
  auto stats = std::make_shared<DeviceStats>();
  vm.stats = stats;
  const DeviceLimits limits = LimitsOf(vm.now->definition->spec);
  DeviceSpec spec = MakeDeviceSpec(vm.device, *vm.now, limits, *vm.sockets, sockets_, std::move(stats));
  spec.network = networks_.IdOf(vm.network());
  pool_.AddDevice(std::move(spec), std::move(done));
}

// Everything that can be known before anything is made; finds out the CID.
absl::Status VmManager::CheckCreation(const VmCreation& creation, const VmSocketPaths& paths, Cid& cid) {
  std::vector<FieldViolation> violations = CheckVm(creation);
  const absl::Status busy = paths.Check(sockets_, violations);
  if (!violations.empty()) return FieldsInvalid("vm " + Quoted(creation.id), violations);
  if (const auto same = vms_.find(creation.id); same != vms_.end()) return VmExists(*same->second->now);
  if (draining_) return NodeDraining();
  KINSOCK_RETURN_IF_ERROR(CheckRoom(vms_.size()));
  KINSOCK_RETURN_IF_ERROR(busy);
  KINSOCK_ASSIGN_OR_RETURN(cid, networks_.PeekCid(creation));
  return absl::OkStatus();
}

absl::Status VmManager::CheckRoom(size_t vms) {
  if (vms < kMaxVms) return absl::OkStatus();
  return QuotaExceeded("VMs", kMaxVms, "delete some, or run another daemon");
}

void VmManager::OnServed(DeviceId device, absl::Status status) {
  Vm* vm = Find(device);
  if (vm == nullptr) return;
  if (!status.ok()) return OnRemoved(device, status);
  JournalEntry entry;
  if (vm->saved) {
    entry.put = SavedVm{vm->now->definition, vm->now->status.cid, vm->now->status.former_cid};
    entry.cursors = {vm->network(), networks_.CidsOf(vm->network()).cursors()};
    entry.requests = std::exchange(vm->made_for, {});
  }
  Record(*vm, std::move(entry), [this](Vm& made, const absl::Status& written) { OnCreated(made, written); });
}

void VmManager::OnCreated(Vm& vm, const absl::Status& written) {
  // Nobody was told of it yet: it has never been.
  if (!written.ok()) return StartDeleting(vm, written);
  vm.served = true;
  PublishStatus(vm);
  ArmOrphan(vm);
  const std::optional<VsockProxy>& proxy = vm.now->definition->spec.vsock_proxy;
  Log(LogLevel::kInfo, "vm.created")
      .With("vm", vm.now->definition->name())
      .With("cid", vm.now->status.cid)
      .With("socket", vm.now->status.vhost_user_socket)
      .With("uds", vm.now->status.uds_path)
      .With("forward_cid", proxy.has_value() ? proxy->forward_cid : 0);
  const VmSnapshotPtr made = vm.now;
  Done creator = std::exchange(vm.creator, nullptr);
  if (!vm.deleters.empty()) RecordDeletion(vm);
  creator(made);
}

void VmManager::NoteRequest(const Vm& vm, const std::string& id, uint64_t hash, std::vector<AnsweredRequest>& into) {
  if (id.empty()) return;
  const VmDefinition& definition = *vm.now->definition;
  into.push_back({id, hash, definition.id, definition.uid, vm.now->status.cid,
                  std::chrono::system_clock::now() + RequestTable::kKeep});
}

void VmManager::Record(Vm& vm, JournalEntry entry, Written then) {
  vm.writing = true;
  const bool in_file = !entry.empty();
  auto written = [this, device = vm.device, in_file, then = std::move(then)](const absl::Status& result) mutable {
    Vm* found = Find(device);
    if (found == nullptr) return;
    found->writing = false;
    if (in_file) NoteWritten(*found, result);
    then(*found, result);
    RunWaiting(device);
  };
  if (entry.empty()) return written(absl::OkStatus());
  journal_.Commit(std::move(entry), std::move(written));
}

// Calls that came while the VM was not settled, if it is.
void VmManager::RunWaiting(DeviceId device) {
  Vm* vm = Find(device);
  if (vm == nullptr || !vm->settled()) return;
  std::vector<EventLoop::Task> tasks = std::exchange(vm->when_made, {});
  for (EventLoop::Task& task : tasks) task();
}

// The device is gone: for that it was to be deleted, or - `reason` - because the VM could not be made.
void VmManager::OnRemoved(DeviceId device, const absl::Status& reason) {
  Vm* found = Find(device);
  if (found == nullptr) return;
  const std::string id = found->now->definition->id;
  VmStatus status = found->now->status;
  BeginDeleting(status, std::chrono::system_clock::now());
  Publish(*found, VmEvent::Type::kDeleted, std::move(status));
  CidAllocator& cids = networks_.CidsOf(found->network());
  if (reason.ok()) {
    cids.Release(found->now->status.cid, found->now->definition->name(),
                 found->keep_cid ? VmDeletion::kKeepCid : std::chrono::milliseconds(0));
  } else {
    // Its socket was there for a moment, in which a VMM may have found it.
    DeviceTotals totals;
    totals += *found->stats;
    cids.GiveBack(found->now->status.cid, found->now->definition->name(), totals.front_end_connects > 0);
  }
  if (found->in_network) networks_.RemoveVm(found->network());
  gone_.totals += *found->stats;
  const VmSnapshotPtr last = found->now;
  Done creator = std::exchange(found->creator, nullptr);
  std::vector<EventLoop::Task> when_made = std::exchange(found->when_made, {});
  std::vector<Done> deleters = std::move(found->deleters);
  found->CancelTimers(loop_);
  // With it go the sockets' places and directory: before anybody is told that nothing is left.
  vms_.erase(id);
  device_ids_.erase(device);
  departed_.Remember(device, *last);
  if (departure_.ends) departure_.ends(id);
  Log(reason.ok() ? LogLevel::kInfo : LogLevel::kError, reason.ok() ? "vm.deleted" : "vm.failed")
      .With("vm", last->definition->name())
      .With("cid", last->status.cid)
      .With("reason", reason.message());
  if (creator) creator(reason);
  for (Done& done : deleters) done(last);
  for (EventLoop::Task& task : when_made) task();
}

absl::StatusOr<VmSnapshotPtr> VmManager::Get(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  return found->second->now;
}

absl::StatusOr<DeviceId> VmManager::ServedDevice(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  const Vm& vm = *found->second;
  if (vm.doomed()) return VmIsBeingDeleted(*vm.now->definition);
  if (vm.failed()) return VmIsFailed(*vm.now->definition);
  if (vm.served) return vm.device;
  return VmIsBeingMade(id);
}

absl::StatusOr<VmStats> VmManager::Stats(const std::string& id) const {
  const auto found = vms_.find(id);
  if (found == vms_.end()) return VmNotFound(id);
  VmStats stats{.since = found->second->stats_since, .totals = {}};
  stats.totals += *found->second->stats;
  return stats;
}

VmStats VmManager::TotalStats() const {
  VmStats stats = gone_;
  for (const auto& [id, vm] : vms_) stats.totals += *vm->stats;
  return stats;
}

std::vector<uint64_t> VmManager::ConnectionsByReactor() const {
  std::vector<uint64_t> sums(pool_.size());
  for (const auto& [id, vm] : vms_) {
    const std::optional<size_t> reactor = pool_.ReactorOf(vm->device);
    if (!reactor.has_value()) continue;
    DeviceTotals totals;
    totals += *vm->stats;
    uint64_t accepted = 0, closed = 0;
    for (const PortTotals::ByReason& connects : totals.guest_port.connects) {
      accepted += connects[static_cast<size_t>(CloseReason::kNone)];
    }
    for (const uint64_t closes : totals.guest_port.closes) closed += closes;
    // They are read one by one while connections come and go.
    sums[*reactor] += accepted > closed ? accepted - closed : 0;
  }
  return sums;
}

std::vector<VmSnapshotPtr> VmManager::List(const std::string& after, size_t max, const VmFilter& filter) const {
  std::vector<VmSnapshotPtr> list;
  for (auto vm = vms_.upper_bound(after); vm != vms_.end() && list.size() < max; ++vm) {
    if (filter.Matches(*vm->second->now)) list.push_back(vm->second->now);
  }
  return list;
}

VmManager::SnapshotList VmManager::Snapshot() {
  if (snapshot_ == nullptr) snapshot_ = std::make_shared<const std::vector<VmSnapshotPtr>>(List("", vms_.size()));
  return snapshot_;
}

VmSnapshotPtr VmManager::OfDevice(DeviceId device) const {
  const auto id = device_ids_.find(device);
  return id == device_ids_.end() ? departed_.Find(device) : vms_.at(id->second)->now;
}

size_t VmManager::active() const {
  size_t count = 0;
  for (const auto& [id, vm] : vms_) count += vm->now->status.state == VmState::kActive ? 1 : 0;
  return count;
}

void VmManager::OnDeviceStatus(DeviceId device, const DeviceStatus& status) {
  loop_.thread().AssertHeld();
  Vm* vm = Find(device);
  if (vm == nullptr) return;
  if (vm->served && StateOf(status) != StateOf(vm->device_status)) ++vm->untold_states;
  vm->device_status = status;
  DeleteIfDrained(*vm);
  if (vm->served) ArmOrphan(*vm);
  if (!vm->served || vm->moving || vm->held_back.has_value() || vm->deleting()) return;
  if (clock_.Now() - vm->second >= std::chrono::seconds(1)) {
    vm->second = clock_.Now();
    vm->events_in_second = 0;
  }
  if (++vm->events_in_second <= kStatusEventsPerSecond) return PublishStatus(*vm);
  // The VM outlives the timer, which goes with it.
  vm->held_back = loop_.RunAfter(vm->second + std::chrono::seconds(1) - clock_.Now(), [this, vm] {
    vm->held_back.reset();
    if (!vm->deleting()) PublishStatus(*vm);
  });
}

// Whoever changed it by a call is to see it.
void VmManager::PublishHeldBack(Vm& vm) {
  if (!vm.held_back.has_value() || vm.deleting()) return;
  loop_.Cancel(*vm.held_back);
  vm.held_back.reset();
  PublishStatus(vm);
}

void VmManager::PublishStatus(Vm& vm) {
  VmStatus status = vm.now->status;
  ApplyDeviceStatus(status, vm.device_status, std::chrono::system_clock::now(), vm.troubles);
  Publish(vm, VmEvent::Type::kModified, std::move(status));
  TellState(vm);
}

// A line for the log. The states that came and went between two lines are counted in the later one, and one comes
// after the last of them.
void VmManager::TellState(Vm& vm) {
  if (vm.untold_states == 0 || vm.state_line.has_value()) return;
  if (!vm.state_lines.Take(clock_.Now())) {
    // The VM outlives the timer, which goes with it.
    vm.state_line = loop_.RunAfter(Vm::kPerStateLine, [this, &vm] {
      vm.state_line.reset();
      if (!vm.deleting()) TellState(vm);
    });
    return;
  }
  const VmStatus& now = vm.now->status;
  const uint64_t suppressed = std::exchange(vm.untold_states, 0) - 1;
  Log(LogLevel::kInfo, "vm.state")
      .With("vm", vm.now->definition->name())
      .With("state", VmStateName(now.state))
      .With("pid", now.front_end.has_value() ? now.front_end->pid : 0)
      .With("reason", vm.device_status.last_error)
      .With("suppressed", suppressed > 0 ? absl::StrCat(suppressed) : "");
}

void VmManager::Publish(Vm& vm, VmEvent::Type type, VmStatus status) {
  Publish(vm, type, vm.now->definition, std::move(status));
}

void VmManager::Publish(Vm& vm, VmEvent::Type type, std::shared_ptr<const VmDefinition> definition, VmStatus status) {
  auto next = std::make_shared<VmSnapshot>();
  next->definition = std::move(definition);
  next->status = std::move(status);
  next->version = hub_.next_version();
  vm.now = std::move(next);
  snapshot_ = nullptr;
  hub_.Publish({type, vm.now});
}

VmManager::Vm* VmManager::Find(DeviceId device) {
  const auto id = device_ids_.find(device);
  return id == device_ids_.end() ? nullptr : vms_.at(id->second).get();
}

}  // namespace kinsock
