// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VM_VIEW_H_
#define KINSOCK_CLI_VM_VIEW_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "cli/options.h"
#include "cli/table.h"

namespace kinsock {

// How VMs are shown.

// "web-1" for "vms/web-1".
std::string ShortVmName(const std::string& name);

// "vms/web-1" for either of the two.
std::string FullVmName(const std::string& name);

// The table of `vm list`; kWide adds the sockets and the VMM's pid.
Table MakeVmTable(OutputFormat format);
void AddVm(const v1::Vm& vm, OutputFormat format, Table& table);

// One VM in any format.
std::string RenderVm(const v1::Vm& vm, const Options& options);

// All VMs of `list` in any format.
std::string RenderVms(const v1::ListVmsResponse& list, const Options& options);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VM_VIEW_H_
