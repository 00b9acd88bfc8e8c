// SPDX-License-Identifier: Apache-2.0
#include "server/manager/vm_manager.h"

#include <utility>

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
  out.groups = EffectiveGroups(spec);
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

}  // namespace kinsock
