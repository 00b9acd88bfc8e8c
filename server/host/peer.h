// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_PEER_H_
#define KINSOCK_SERVER_HOST_PEER_H_

#include <sys/types.h>

#include <vector>

#include "absl/status/statusor.h"

namespace kinsock {

// The process at the other end of a connected UNIX socket, at the moment when it connected.
struct Peer {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  std::vector<gid_t> groups;  // supplementary; `gid` may be among them
};

// Asks the kernel (SO_PEERCRED, SO_PEERGROUPS). Any thread.
absl::StatusOr<Peer> PeerOf(int fd);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_PEER_H_
