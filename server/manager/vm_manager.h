// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_MANAGER_H_
#define KINSOCK_SERVER_MANAGER_VM_MANAGER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "device/device_spec.h"
#include "server/host/socket_dirs.h"
#include "server/host/socket_registry.h"
#include "server/manager/departed_vms.h"
#include "server/manager/event_hub.h"
#include "server/manager/network_manager.h"
#include "server/manager/request_gate.h"
#include "server/manager/request_table.h"
#include "server/manager/vm_change.h"
#include "server/manager/vm_journal.h"
#include "server/manager/vm_sockets.h"
#include "server/model/quota.h"
#include "server/model/saved_state.h"
#include "server/model/vm.h"
#include "server/model/vm_deletion.h"
#include "server/model/vm_drain.h"
#include "server/model/vm_filter.h"
#include "server/model/vm_spec.h"
#include "server/model/vm_stats.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {

// The VMs of the daemon, and the one place where they change. It decides, remembers and tells (through the event
// hub); the reactor pool does. The states are drawn in vm_lifecycle.h.
//
// Thread: main. Callbacks run there, some before the call that takes them returns. The pool must be gone, or have no
// callback under way, when the manager goes.
class VmManager {
 public:
  // VMs in the daemon: each holds some fifteen descriptors and a device in a reactor. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxVms = 16384;

  // A VMM that reconnects or remaps without end is reported this often a second, then once at the second's end: its
  // changes must not push those of others out of the event ring.
  static constexpr int kStatusEventsPerSecond = 20;

  // Whether the sockets of VMs are where they were made is looked at so often, for so many of them at a time: some
  // milliseconds of main's. Of 16,384 VMs each has its turn within 16 seconds.
  static constexpr std::chrono::seconds kCheckEvery{2};
  static constexpr size_t kVmsPerCheck = 2048;

  using Done = RequestGate::Done;
  using SnapshotList = std::shared_ptr<const std::vector<VmSnapshotPtr>>;

  // None is owned; all outlive the manager. `vms_dir`: see VmDirectory().
  VmManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, NetworkManager& networks, EventHub& hub,
            SocketRegistry& sockets, VmJournal& journal, std::string vms_dir);
  ~VmManager();
  VmManager(const VmManager&) = delete;
  VmManager& operator=(const VmManager&) = delete;

  // Takes over what an earlier start of the daemon has left: before anything is created. The names and CIDs of its VMs
  // are theirs from here on, but for the CIDs in `promised`, by network, which the configuration gives to others.
  // The networks have been restored before.
  void Restore(SavedState saved, const std::set<std::pair<std::string, Cid>>& promised);
  // Makes the VMs that were restored. `done`: each is served, or FAILED and the log says why. `give_up` is asked before
  // each, which takes a moment for its sockets; true: the others are left alone, as they are in the journal, and `done`
  // is not called.
  void ServeRestored(absl::FunctionRef<bool()> give_up, EventLoop::Task done);

  // Makes a VM. `done`: it is served, all reactors know its CID and the journal knows it, or it was not made and
  // nothing is left of it.
  void Create(VmCreation creation, Done done);

  // From now on, sockets of VMs that are not the configuration's lie below these, also of VMs that are restored. Those
  // that are served stay.
  void LimitSocketsTo(SocketDirs dirs) { socket_dirs_ = std::move(dirs); }

  // What no VM gets more of, whatever its own quota says; before the first one is made or restored.
  void LimitVmsTo(const Quota& quota) { quota_ = quota; }

  // The same later. `done`: it holds for each VM.
  void ChangeLimitOfVms(const Quota& quota, EventLoop::Task done);

  // Changes some of a VM. `done`: every reactor goes by it. One that is being made is changed when it is.
  void Update(VmUpdate update, Done done);

  // Makes a VM, or changes it until it is so. `done`: as of Create(), or of Update().
  void Apply(VmApplication application, Done done);

  // Has a VM begin no connections any more, or again, or end those it has. `done`: that holds.
  void Drain(VmDrain drain, Done done);

  // Ends the connections of a VM, and gives it another CID if one is asked for. `done`: it has it, the journal knows
  // and every reactor goes by it; or nothing has changed. The former one rests.
  void Reset(VmReset reset, Done done);

  // Takes a VM apart. `done`: nothing is left of it; its last state, or null if there was none and that is allowed.
  void Delete(VmDeletion deletion, Done done);

  absl::StatusOr<VmSnapshotPtr> Get(const std::string& id) const;

  // What the device of a VM has counted until now. No reactor is asked: it is read from their memory.
  absl::StatusOr<VmStats> Stats(const std::string& id) const;
  // The same of all VMs together, also of those that are gone.
  VmStats TotalStats() const;

  // Open connections of the VMs of each reactor. One between two VMs counts for both.
  std::vector<uint64_t> ConnectionsByReactor() const;

  // VMs that match, in the order of their ids, from the first after `after` on, at most `max`.
  std::vector<VmSnapshotPtr> List(const std::string& after, size_t max, const VmFilter& filter = VmFilter()) const;

  // All VMs, in the order of their ids; shared by all who ask before the next change.
  SnapshotList Snapshot();

  // The device of a VM, for who adds to it or changes it. VM_NOT_FOUND, VM_DELETING, VM_FAILED; ABORTED
  // CONCURRENT_CHANGE while the VM is being made.
  absl::StatusOr<DeviceId> ServedDevice(const std::string& id) const;

  // For who adds to VMs. `begins`: a VM goes, which the journal knows, and with it what erase_forwards_of names;
  // `ends`: nothing of its device is left. Null: nobody.
  struct Departure {
    std::function<void(const std::string& id)> begins;
    std::function<void(const std::string& id)> ends;
  };
  void SetOnDeparture(Departure departure) { departure_ = std::move(departure); }

  // The VM of a device, or what it was if it is gone since DepartedVms::kKeep at most; else null.
  VmSnapshotPtr OfDevice(DeviceId device) const;

  // For ReactorPool's callback.
  void OnDeviceStatus(DeviceId device, const DeviceStatus& status);

  // Whether there may be one more than `vms`. QUOTA_EXCEEDED.
  static absl::Status CheckRoom(size_t vms);

  // While draining nothing is created; what exists can be changed and deleted.
  void SetDraining(bool draining) { draining_ = draining; }
  bool draining() const { return draining_; }

  // From here on nothing is created, changed or deleted; what exists stays until the manager goes. A deletion that
  // waits for connections is given up.
  void Close();

  size_t size() const { return vms_.size(); }
  size_t active() const;

 private:
  struct Vm;

  absl::Status CheckCreation(const VmCreation& creation, const VmSocketPaths& paths, Cid& cid);
  void DrainOnce(VmDrain drain, Done done);
  void ResetOnce(VmReset reset, Done done);
  void Move(Vm& vm, std::shared_ptr<const VmDefinition> next, Cid cid, Cid former, Done done);
  void OnMoved(Vm& vm, std::shared_ptr<const VmDefinition> next, Cid cid, Cid former);
  void RunWaiting(DeviceId device);
  void SetDrainDeadline(Vm& vm, std::optional<std::chrono::milliseconds> deadline, EventLoop::Task task);
  void ResetRest(DeviceId device);
  void DrainToDelete(Vm& vm, std::chrono::milliseconds timeout);
  void DeleteIfDrained(Vm& vm);
  void ArmOrphan(Vm& vm);
  void PublishHeldBack(Vm& vm);
  void ArmCheck();
  void CheckSome();
  void NoteWritten(Vm& vm, const absl::Status& written);
  void CreateOnce(VmCreation creation, Done done);
  void UpdateOnce(VmUpdate update, Done done);
  void ApplyOnce(VmApplication application, Done done);
  struct ChangeRequest {
    std::string id;
    uint64_t hash;
    bool validate_only;
  };
  template <typename Request>
  static ChangeRequest RequestOf(const Request& request) {
    return {request.request_id, request.request_hash, request.validate_only};
  }
  void Commit(Vm& vm, std::shared_ptr<const VmDefinition> next, const ChangeRequest& request, Done done);
  void Become(Vm& vm, std::shared_ptr<const VmDefinition> next, Done done);
  void OnObserved(Vm& vm);
  // What holds for a VM of which this is said: of each limit the smallest of its own, its network's and the daemon's.
  DeviceLimits LimitsOf(const VmSpec& spec) const;
  void OnNetworkQuota(const std::string& network, EventLoop::Task done);
  void TellLimits(absl::FunctionRef<bool(const Vm&)> concerns, EventLoop::Task done);
  void OnServed(DeviceId device, absl::Status status);
  void OnCreated(Vm& vm, const absl::Status& written);
  VmSnapshotPtr ResultOf(const AnsweredRequest& request) const;
  absl::Status ServeAgain(Vm& vm);
  void EndOneRestoration();
  void OnServedAgain(DeviceId device, absl::Status status);
  // Writes `entry`, if there is anything in it; `then`, with what came of that, before anything else happens to the VM.
  using Written = absl::AnyInvocable<void(Vm&, const absl::Status&)>;
  void Record(Vm& vm, JournalEntry entry, Written then);
  void RecordDeletion(Vm& vm);
  static void NoteRequest(const Vm& vm, const std::string& id, uint64_t hash, std::vector<AnsweredRequest>& into);
  Vm& AddVm(std::shared_ptr<const VmDefinition> definition, VmStatus status);
  void AddDevice(Vm& vm, absl::AnyInvocable<void(absl::Status)> done);
  void DeleteOnce(VmDeletion deletion, Done done);
  absl::Status CheckDeletion(const VmDeletion& deletion, const Vm& vm) const;
  void StartDeleting(Vm& vm, absl::Status reason);
  void OnRemoved(DeviceId device, const absl::Status& reason);
  void PublishStatus(Vm& vm);
  void TellState(Vm& vm);
  void Publish(Vm& vm, VmEvent::Type type, VmStatus status);
  void Publish(Vm& vm, VmEvent::Type type, std::shared_ptr<const VmDefinition> definition, VmStatus status);
  Vm* Find(DeviceId device);

  EventLoop& loop_;
  const Clock& clock_;
  ReactorPool& pool_;
  NetworkManager& networks_;
  EventHub& hub_;
  SocketRegistry& sockets_;
  VmJournal& journal_;
  const std::string vms_dir_;
  SocketDirs socket_dirs_;
  Quota quota_;
  Departure departure_;
  bool closed_ = false;
  bool draining_ = false;

  RequestTable requests_;
  RequestGate gate_;
  DepartedVms departed_;
  DeviceId next_device_ = 1;
  std::map<std::string, std::unique_ptr<Vm>> vms_;        // by id
  std::unordered_map<DeviceId, std::string> device_ids_;  // device -> id
  std::vector<DeviceId> restored_;                        // wait for ServeRestored()
  size_t restoring_ = 0;                                  // and for their devices
  EventLoop::Task when_restored_;
  std::vector<AnsweredRequest> restored_requests_;
  std::optional<EventLoop::TimerId> check_timer_;  // none: there are no VMs
  std::string checked_;                            // the id of the last VM that was looked at
  uint64_t writes_ = 1;                            // that have succeeded, and one
  SnapshotList snapshot_;                          // null: out of date
  VmStats gone_;                                   // of VMs that were deleted, since the manager was made
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_MANAGER_H_
