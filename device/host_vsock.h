// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_VSOCK_H_
#define KINSOCK_DEVICE_HOST_VSOCK_H_

#include <cstdint>

#include "device/host_connection.h"
#include "router/cid.h"

namespace kinsock {

// The host's own AF_VSOCK (vsock(7)): what differs from AF_UNIX when its sockets are the host programs of a guest.
// Any thread; nothing waits.

// Begins to connect to `port` of `cid` in the host kernel's address space. Usually kConnecting.
HostConnection ConnectHostVsock(Cid cid, uint32_t port);

// What became of a connect() that was under way, once the socket is writable: 0, or an errno. Of no use twice.
int ConnectOutcome(int fd);

// The address of the other end. False: not an AF_VSOCK socket, or not connected.
bool VsockPeer(int fd, Cid& cid, uint32_t& port);

// Whether the other end has closed altogether, as opposed to its sending half. AF_VSOCK reports no EPOLLHUP for
// it, only the EPOLLRDHUP that a half-close brings too; but it refuses to send, even nothing. Precondition: this
// end's sending half is open.
bool VsockPeerIsGone(int fd);

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_VSOCK_H_
