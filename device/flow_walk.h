// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FLOW_WALK_H_
#define KINSOCK_DEVICE_FLOW_WALK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "device/device_spec.h"
#include "device/vsock_device.h"
#include "router/flow_info.h"
#include "router/flow_journal.h"

namespace kinsock {

// A look at all connections of a reactor, so many at a time: a guest may have 65,536, and to describe them in one go
// would keep the guests of the reactor waiting for a hundred milliseconds.
//
// What begins while it lasts may be missing; what ends is left out, for the journal has it.
//
// Thread: the reactor's.
class FlowWalk {
 public:
  // Described in one step, at one to two microseconds each: a tenth of what is owed to a VMM.
  static constexpr size_t kStep = 512;

  using Done = absl::AnyInvocable<void(std::vector<FlowInfo>)>;
  // Null: the device is gone.
  using Find = std::function<VsockDevice*(DeviceId)>;

  // `journal` outlives this.
  FlowWalk(std::vector<DeviceId> devices, FlowJournal& journal, Done done);
  ~FlowWalk();
  FlowWalk(const FlowWalk&) = delete;
  FlowWalk& operator=(const FlowWalk&) = delete;

  // Describes the next ones. False: there are none left, and Finish() is due.
  bool Step(const Find& find);
  // Calls `done` with those that have not ended.
  void Finish();

 private:
  std::vector<DeviceId> devices_;             // still to come
  DeviceId current_ = 0;                      // whose flows_ are
  std::vector<std::shared_ptr<Flow>> flows_;  // of the current device, still to be described
  std::vector<FlowInfo> described_;
  absl::flat_hash_set<uint64_t> ended_;  // since the walk began
  FlowJournal& journal_;
  Done done_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FLOW_WALK_H_
