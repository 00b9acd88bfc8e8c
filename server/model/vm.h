// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_H_
#define KINSOCK_SERVER_MODEL_VM_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "device/device_spec.h"
#include "server/model/vm_spec.h"

namespace kinsock {

using WallTime = std::chrono::system_clock::time_point;

// What a VM is, as far as it was said by somebody: the same until its generation changes.
struct VmDefinition {
  std::string id;
  std::string uid;  // empty: only validated, never made
  int64_t generation = 1;
  WallTime create_time;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  VmSpec spec;              // as it was asked for: what was left out stays out
  bool configured = false;  // by the configuration file or the command line, and changed only there

  std::string name() const { return "vms/" + id; }
  std::string etag() const;
  // Bytes of memory, about: the bound of what is remembered of the past counts in them.
  size_t approximate_size() const;
};

// How far a VM has come; the states of the API that this release reaches. vm_lifecycle says how they follow.
enum class VmState : uint8_t {
  kUnspecified,  // only validated, never made
  kProvisioning,
  kListening,
  kConnected,
  kActive,
  kSuspended,
  kDraining,
  kDrained,
  kDeleting,
  kFailed,
};

// All that a VM which exists may be in.
inline constexpr std::array kVmStates = {VmState::kProvisioning, VmState::kListening, VmState::kConnected,
                                         VmState::kActive,       VmState::kSuspended, VmState::kDraining,
                                         VmState::kDrained,      VmState::kDeleting};

// As the API spells it: "LISTENING". Static storage.
const char* VmStateName(VmState state);

// What can be true of a VM, as the API spells it.
inline constexpr std::array<const char*, 5> kConditionTypes = {"FrontEndConnected", "DriverReady", "GuestReady",
                                                               "QuotaLimited", "Degraded"};

// What is wrong with a VM that its device does not know. Plain value, for a person.
struct VmTroubles {
  std::string lost_socket;  // the path of a socket that somebody else has removed or replaced; empty: all are there
  std::string store;        // why the last change could not be written; empty: it was
};

struct Condition {
  const char* type = "";  // static storage
  bool known = true;      // else `holds` is false
  bool holds = false;
  WallTime last_transition;
  const char* reason = "";  // CamelCase, static storage
  std::string message;
};

// What is with a VM.
struct VmStatus {
  VmState state = VmState::kUnspecified;
  int64_t observed_generation = 0;  // of the definition that the reactors go by
  Cid cid = 0;
  Cid driver_cid = 0;  // DriverCid::driver(), as the device said last
  Cid former_cid = 0;  // under which the guest may go still, should the daemon be restarted; 0: none
  std::string vhost_user_socket;
  std::string uds_path;                   // empty: no host side
  std::optional<FrontEndInfo> front_end;  // none: nobody is connected
  std::array<Condition, kConditionTypes.size()> conditions;
};

// A VM at one moment. Nobody changes it: a snapshot may be read on any thread and kept as long as one likes.
struct VmSnapshot {
  std::shared_ptr<const VmDefinition> definition;
  VmStatus status;
  uint64_t version = 0;  // when it became so, in the one order of all changes; 0: never
};
using VmSnapshotPtr = std::shared_ptr<const VmSnapshot>;

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_H_
