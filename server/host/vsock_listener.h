// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_VSOCK_LISTENER_H_
#define KINSOCK_SERVER_HOST_VSOCK_LISTENER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "router/cid.h"

namespace kinsock {

// The host kernel's AF_VSOCK as far as a VM's host side needs it. Nothing here blocks. Any thread.

// Whether calls to `forward_cid` can leave this host at all. FAILED_PRECONDITION VSOCK_UNAVAILABLE: the kernel has no
// AF_VSOCK, or no loopback although `forward_cid` is that; the message says what to load.
absl::Status CheckVsock(Cid forward_cid);

// Whether a connection to `cid` may end at a port on which this host listens.
bool ReachesThisHost(Cid cid);

// Whether somebody else listens on `port`; errors as ListenVsock().
absl::Status CheckVsockPort(uint32_t port);

// Listens on `port` under all CIDs of the host, non-blocking. ALREADY_EXISTS VSOCK_PORT_BUSY {port}: a program has it;
// FAILED_PRECONDITION VSOCK_UNAVAILABLE, or SOCKET_FAILED {port} when the kernel refuses it to this user;
// RESOURCE_EXHAUSTED QUOTA_EXCEEDED when there are no descriptors left.
absl::StatusOr<UniqueFd> ListenVsock(uint32_t port, int backlog);

// VSOCK_PORT_BUSY for `port`; `reason` follows the port in the message. `holder`: a VM, or empty.
absl::Status VsockPortBusy(uint32_t port, const std::string& reason, const std::string& holder);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_VSOCK_LISTENER_H_
