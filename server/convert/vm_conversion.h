// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_VM_CONVERSION_H_
#define KINSOCK_SERVER_CONVERT_VM_CONVERSION_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "server/model/vm.h"
#include "server/model/vm_event.h"

namespace kinsock {

// From the daemon's values to the API's VM messages; the other way is vm_requests. Pure functions; any thread.

// `epoch`: of the resource version.
v1::Vm ToProto(const VmSnapshot& vm, const std::string& epoch);

v1::WatchVmsResponse ToProto(const VmEvent& event, const std::string& epoch);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_VM_CONVERSION_H_
