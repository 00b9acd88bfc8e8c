// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_DEPARTED_VMS_H_
#define KINSOCK_SERVER_MANAGER_DEPARTED_VMS_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "device/device_spec.h"
#include "router/flow_journal.h"
#include "server/model/vm.h"

namespace kinsock {

// The VMs that were deleted lately, by their devices: connections that ended with them, or before, can be listed for a
// while and name them. Only what a connection tells of a VM is kept: its name, its uid and its host path.
//
// Thread: main.
class DepartedVms {
 public:
  // As long as connections are remembered.
  static constexpr std::chrono::seconds kKeep = FlowJournal::kKeep;
  // Reached: the oldest is forgotten, and its connections are listed without its name.
  static constexpr size_t kMax = 1024;

  explicit DepartedVms(const Clock& clock) : clock_(clock) {}

  void Remember(DeviceId device, const VmSnapshot& last) {
    ForgetExpired();
    if (vms_.size() == kMax) vms_.pop_front();
    auto definition = std::make_shared<VmDefinition>();
    definition->id = last.definition->id;
    definition->uid = last.definition->uid;
    auto kept = std::make_shared<VmSnapshot>();
    kept->definition = std::move(definition);
    kept->status.uds_path = last.status.uds_path;
    vms_.push_back({device, std::move(kept), clock_.Now() + kKeep});
  }

  // Null: it is not known, or no longer.
  VmSnapshotPtr Find(DeviceId device) const {
    for (const Departed& vm : vms_) {
      if (vm.device == device) return vm.kept;
    }
    return nullptr;
  }

 private:
  struct Departed {
    DeviceId device;
    VmSnapshotPtr kept;
    MonotonicTime forget_at;
  };

  void ForgetExpired() {
    while (!vms_.empty() && vms_.front().forget_at <= clock_.Now()) vms_.pop_front();
  }

  const Clock& clock_;
  std::deque<Departed> vms_;  // oldest first
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_DEPARTED_VMS_H_
