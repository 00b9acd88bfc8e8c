// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_VM_WAITS_H_
#define KINSOCK_SERVER_SERVICE_VM_WAITS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "server/manager/event_hub.h"
#include "server/manager/vm_manager.h"
#include "server/model/vm_goal.h"

namespace kinsock {

// Those who wait for a VM to become something. All share one place in the event hub, taken while anybody waits: what
// happens to a VM is held against the goals of those who wait for that VM, and nobody else's.
//
// Thread: main.
class VmWaits {
 public:
  // Each costs a call that is open, which its client may forget. Beyond: QUOTA_EXCEEDED.
  static constexpr size_t kMaxWaits = 4096;

  using Id = uint64_t;
  using Done = absl::AnyInvocable<void(absl::StatusOr<VmSnapshotPtr>)>;

  // None is owned; all outlive this.
  VmWaits(EventLoop& main, const VmManager& manager, EventHub& hub) : main_(main), manager_(manager), hub_(hub) {}
  ~VmWaits() { *alive_ = false; }
  VmWaits(const VmWaits&) = delete;
  VmWaits& operator=(const VmWaits&) = delete;

  // `done`: the VM as it reached the goal, null if the goal is that there is none; NOT_FOUND VM_NOT_FOUND when it
  // cannot any more; RESOURCE_EXHAUSTED QUOTA_EXCEEDED; what the hub said when it was closed. It may be called before
  // this returns. The id is for Cancel().
  Id Add(VmGoal goal, Done done);

  // `done` is not called any more.
  void Cancel(Id id);

  size_t size() const { return by_id_.size(); }

 private:
  struct Wait {
    Id id;
    VmGoal goal;
    Done done;
  };
  using Waits = std::multimap<std::string, Wait>;  // by the VM's id

  void Pump();
  void Look(const VmEvent& event);
  void Finish(Waits::iterator wait, absl::StatusOr<VmSnapshotPtr> result);
  void FinishAll(const absl::Status& reason);

  EventLoop& main_;
  const VmManager& manager_;
  EventHub& hub_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<EventHub::Subscription> subscription_;  // null: nobody waits
  Waits waits_;
  std::unordered_map<Id, Waits::iterator> by_id_;
  Id next_id_ = 1;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_VM_WAITS_H_
