// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_VMM_ARGS_H_
#define KINSOCK_CLI_VMM_ARGS_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// Arguments for QEMU (7.2 and newer), in one line for a shell: the guest's memory, which must be shared with the
// daemon, and the device. `memory` as QEMU writes sizes, "256M"; with -m on the same command line, both must agree.
//
//     -object memory-backend-memfd,id=mem0,size=256M,share=on -machine memory-backend=mem0 -chardev ...
std::string QemuArguments(const v1::Vm& vm, const std::string& memory);

// Whether `memory` is a size as QEMU writes them: digits, then K, M, G, T or nothing.
bool IsMemorySize(const std::string& memory);

}  // namespace kinsock

#endif  // KINSOCK_CLI_VMM_ARGS_H_
