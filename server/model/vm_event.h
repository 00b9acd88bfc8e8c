// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_EVENT_H_
#define KINSOCK_SERVER_MODEL_VM_EVENT_H_

#include <cstdint>

#include "server/model/vm.h"

namespace kinsock {

// One change of one VM. `vm->version` is its place in the order of all changes.
struct VmEvent {
  enum class Type : uint8_t { kAdded, kModified, kDeleted };
  Type type = Type::kAdded;
  VmSnapshotPtr vm;  // kDeleted: its last state, but with the version of the deletion
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_EVENT_H_
