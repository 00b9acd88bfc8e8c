// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_VM_LIFECYCLE_H_
#define KINSOCK_SERVER_MANAGER_VM_LIFECYCLE_H_

#include <string>

#include "device/device_spec.h"
#include "server/model/vm.h"

namespace kinsock {

// The states of a VM (docs/life_of_a_vm.md):
//
//     PROVISIONING --served--> LISTENING --front-end--> CONNECTED --driver ready--> ACTIVE <--rings--> SUSPENDED
//          |                       ^                        |                         |                   |
//          |                       '------- the front-end went away, for whatever reason -----------------'
//          '------ DeleteVm, from any state ------> DELETING, then the VM is gone
//
//     LISTENING .. SUSPENDED --DrainVm--> DRAINING --no connection left--> DRAINED;  --ResumeVm--> what the device is
//
// PROVISIONING: the sockets exist, the reactors do not all know the CID yet, or the state file does not know the VM.
// LISTENING .. DRAINED: what the device reports; the conditions tell the VMM and the driver in all of them.  DELETING:
// the sockets are gone, connections are being reset.
// FAILED, not drawn: from PROVISIONING when a VM of an earlier start cannot be served again; left by DeleteVm, or by
// the next start.
//
// Pure functions; they fill `state`, `front_end` and `conditions` and leave the rest of `status` as it is.

// Just made: nothing is known of the device yet.
void BeginProvisioning(VmStatus& status, WallTime now);

// What the device says of itself.
VmState StateOf(const DeviceStatus& device);

// The same in all its parts, once it is served, and what else is wrong.
void ApplyDeviceStatus(VmStatus& status, const DeviceStatus& device, WallTime now, const VmTroubles& troubles = {});

// It was made by an earlier start of the daemon and cannot be served by this one; `why` is for a person.
void BeginFailed(VmStatus& status, const std::string& why, WallTime now);

// The device is being taken apart; what it says from here on does not matter.
void BeginDeleting(VmStatus& status, WallTime now);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_VM_LIFECYCLE_H_
