// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_HOST_LINES_H_
#define KINSOCK_CLI_EXPLAIN_HOST_LINES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "api/kinsock/v1/forward.pb.h"
#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// Lines for a shell by which a program of the host and the guest of `vm` reach each other.

// Whether `port` of the host's own AF_VSOCK stands for that of the guest.
bool ListensOnVsock(const v1::Vm& vm, uint32_t port);

// Makes a forward: the way that any VM can be given while it runs. Its socket is beside those that the daemon makes,
// where API clients may have it made, too.
std::string ForwardLine(const v1::Vm& vm, uint32_t port, bool to_guest);

// What to do where there is no hybrid socket: use the host's own AF_VSOCK, if that is the VM's host side, or make a
// forward.
std::string LineWithoutSocket(const v1::Vm& vm, uint32_t port, bool to_guest);

// Calls `port` of the guest, by `forward` if there is one.
std::string CallLine(const v1::Vm& vm, uint32_t port, const std::optional<v1::Forward>& forward);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_HOST_LINES_H_
