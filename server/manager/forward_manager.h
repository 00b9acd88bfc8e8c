// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_FORWARD_MANAGER_H_
#define KINSOCK_SERVER_MANAGER_FORWARD_MANAGER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "device/forward.h"
#include "server/host/socket_dirs.h"
#include "server/host/socket_registry.h"
#include "server/manager/answers.h"
#include "server/manager/forward_place.h"
#include "server/manager/vm_journal.h"
#include "server/manager/vm_manager.h"
#include "server/model/forward_spec.h"
#include "server/model/saved_state.h"
#include "server/reactors/reactor_pool.h"

namespace kinsock {

// The forwards of the daemon, and the one place where they change.
//
//     Create:  listen (or keep others from the target) - journal - device - answer
//     Update:  journal - device - answer
//     Delete:  journal - file gone - device - answer
//
// So nothing is served that the journal does not know, and what it refuses leaves nothing. A forward goes with its VM,
// in the same entry of the journal.
//
// Thread: main. Callbacks run there, some before the call that takes them returns. The pool must be gone, or have no
// callback under way, when the manager goes.
class ForwardManager {
 public:
  // Forwards in the daemon: each that listens has a descriptor or two. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxForwards = 16384;
  // Forwards of a VM: as many ports as it may have on AF_VSOCK. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxForwardsPerVm = 64;

  using Done = absl::AnyInvocable<void(absl::StatusOr<ForwardSnapshot>)>;

  enum class Change : uint8_t { kCreated, kUpdated, kDeleted };
  // Called when something has become of a forward.
  using OnChange = std::function<void(Change, const ForwardDefinition&)>;

  // None is owned; all outlive the manager.
  ForwardManager(EventLoop& loop, const Clock& clock, ReactorPool& pool, VmManager& vms, SocketRegistry& sockets,
                 VmJournal& journal, OnChange on_change);
  ~ForwardManager();
  ForwardManager(const ForwardManager&) = delete;
  ForwardManager& operator=(const ForwardManager&) = delete;

  // From now on, UNIX sockets that are not the configuration's lie below these: those listened on, and those led to.
  void LimitSocketsTo(SocketDirs dirs) { socket_dirs_ = std::move(dirs); }

  // Takes over what an earlier start of the daemon has left: before anything is created.
  void Restore(SavedState& saved);
  // Serves what was restored, when the VMs are. `done`: each is served, or its `error` says why not. One whose VM is no
  // more has gone with it. `give_up`: as of VmManager::ServeRestored().
  void ServeRestored(absl::FunctionRef<bool()> give_up, EventLoop::Task done);

  // One of the configuration whose VM is FAILED is there with that as its `error`.
  void Create(ForwardCreation creation, Done done);
  void Update(ForwardUpdate update, Done done);
  void Delete(ForwardDeletion deletion, Done done);  // a snapshot without definition: there was none

  // NOT_FOUND FORWARD_NOT_FOUND.
  absl::StatusOr<ForwardSnapshot> Get(const std::string& id) const;
  // In the order of their ids, from the first after `after` on, at most `max`; `vm`: id, empty: of all.
  std::vector<ForwardSnapshot> List(const std::string& vm, const std::string& after, size_t max) const;

  // Whether there may be one more than `all`, and than `of_vm` of its VM. QUOTA_EXCEEDED.
  static absl::Status CheckRoom(size_t all, size_t of_vm);

  // From here on nothing changes.
  void Close() { closed_ = true; }

 private:
  struct Entry {
    ForwardId number = 0;  // tells it from another one of its name
    ForwardDefinitionPtr definition;
    std::optional<ForwardPlace> place;                 // none: it is not served
    std::optional<DeviceId> device;                    // that has it
    std::shared_ptr<ForwardStats> stats = nullptr;     // null: it was never served
    std::optional<uint32_t> next_port = std::nullopt;  // that it is about to have
    std::string error = "";
    bool changing = true;  // a change is under way
    bool made = false;     // somebody was told of it
    bool kept = false;     // of an earlier start, and not served yet
  };

  using Served = absl::AnyInvocable<void(absl::Status)>;

  Entry& Add(ForwardDefinitionPtr definition);
  void Remove(ForwardId number);
  Entry* Find(ForwardId number);
  const SocketDirs* WithinFor(bool configured) const { return configured ? nullptr : &socket_dirs_; }
  absl::Status CheckRoom(const ForwardSpec& spec) const;
  absl::Status CheckPort(const ForwardSpec& spec, ForwardId but, bool configured) const;
  void Commit(JournalEntry entry, bool saved, VmJournal::Done done);
  static void NoteRequest(const MutationRequest& request, const ForwardDefinition& definition, JournalEntry& entry);
  void Serve(Entry& entry, DeviceId device, Served served);
  void OnCreated(ForwardId number, const absl::Status& written, DeviceId device, Done done);
  ForwardSnapshot Keep(Entry& entry, const absl::Status& why);
  void GiveUp(ForwardId number, absl::Status why, Done done);
  void Become(Entry& entry, ForwardDefinitionPtr next, std::optional<ForwardPlace> place, Done done);
  absl::Status ServeAgain(Entry& entry, Served served);
  void EndOneRestoration();
  void OnVmGoing(const std::string& vm);
  ForwardSnapshot Look(const Entry& entry) const { return {entry.definition, entry.stats, entry.error}; }
  void Tell(Change change, const ForwardDefinition& definition);

  EventLoop& loop_;
  ReactorPool& pool_;
  VmManager& vms_;
  SocketRegistry& sockets_;
  VmJournal& journal_;
  const OnChange on_change_;
  SocketDirs socket_dirs_;
  bool closed_ = false;
  ForwardId next_number_ = 1;
  std::map<std::string, Entry> forwards_;                 // by id
  std::map<ForwardId, std::string> ids_;                  // number -> id
  std::map<std::string, std::vector<ForwardId>> of_vms_;  // by the id of the VM
  // What VMs that go had: reserved until their devices are gone.
  std::map<std::string, std::vector<ForwardPlace>> leaving_;
  Answers<ForwardSnapshot> answers_;
  std::vector<AnsweredObjectRequest> restored_requests_;
  size_t restoring_ = 0;
  EventLoop::Task when_restored_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_FORWARD_MANAGER_H_
