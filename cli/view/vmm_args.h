// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VIEW_VMM_ARGS_H_
#define KINSOCK_CLI_VIEW_VMM_ARGS_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// What a VMM is told to give a guest the device of `vm`, ready to paste behind its command: one line for a shell. The
// memory of the guest is shared with the daemon, which copies straight into it: without that no vhost-user device
// works.
//
// `memory`: a size as QEMU writes it, "512M", "4G".
std::string QemuArguments(const v1::Vm& vm, const std::string& memory);    // QEMU 7.0 and later
std::string CrosvmArguments(const v1::Vm& vm, const std::string& memory);  // in whole MiB; see IsMemorySize()
std::string CloudHypervisorArguments(const v1::Vm& vm, const std::string& memory);

// The same for a libvirt domain with QEMU: elements to be put into <domain>.
std::string LibvirtElements(const v1::Vm& vm, const std::string& memory);

// What such a line leaves out for some guests, and what passes it, for a person; empty: nothing. Of what
// spec.readiness has of the guest's systemd: crosvm and Cloud Hypervisor make an SMBIOS on x86-64 alone. `vmm`:
// "qemu", "crosvm", "cloud-hypervisor" or "libvirt".
std::string WhatMayNotBePassed(const v1::Vm& vm, const std::string& vmm);

// Whether `memory` is such a size.
bool IsMemorySize(const std::string& memory);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VIEW_VMM_ARGS_H_
