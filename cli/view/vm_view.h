// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VIEW_VM_VIEW_H_
#define KINSOCK_CLI_VIEW_VM_VIEW_H_

#include <map>
#include <string>

#include "api/kinsock/v1/vm.pb.h"
#include "api/kinsock/v1/vm_service.pb.h"
#include "cli/text/options.h"
#include "cli/text/table.h"

namespace kinsock {

// How VMs are shown.

// "web-1" for "vms/web-1".
std::string ShortVmName(const std::string& name);

// "vms/web-1" for either of the two.
std::string FullVmName(const std::string& name);

// What moves in a VM, as kWide shows it.
struct VmRates {
  std::string connections;
  std::string receive;
  std::string transmit;
};
using RatesByName = std::map<std::string, VmRates>;  // by full names

// The table of `vm list`; kWide adds the network, the sockets, the VMM's pid and what is wrong, and `with_rates` what
// moves, which AddVm() is then given (null: it is not known).
Table MakeVmTable(OutputFormat format, bool with_rates = false);
void AddVm(const v1::Vm& vm, OutputFormat format, Table& table);
void AddVm(const v1::Vm& vm, OutputFormat format, const VmRates* rates, Table& table);

// One VM in any format.
std::string RenderVm(const v1::Vm& vm, const Options& options);

// All VMs of `list` in any format. `rates`: for kWide.
std::string RenderVms(const v1::ListVmsResponse& list, const Options& options, const RatesByName* rates = nullptr);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VIEW_VM_VIEW_H_
