// SPDX-License-Identifier: Apache-2.0
#include "server/host/peer.h"

#include <sys/socket.h>

#include <cerrno>

namespace kinsock {
namespace {

// A process has at most this many (NGROUPS_MAX); almost all have fewer than what is tried first.
constexpr size_t kFewGroups = 64;
constexpr size_t kMostGroups = 65536;

}  // namespace

absl::StatusOr<Peer> PeerOf(int fd) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return absl::ErrnoToStatus(errno, "SO_PEERCRED");
  }
  Peer peer{credentials.uid, credentials.gid, credentials.pid, std::vector<gid_t>(kFewGroups)};
  for (;;) {
    length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) == 0) break;
    // The kernel then says how much room it wants; it does not change while the socket lives.
    const size_t wanted = length / sizeof(gid_t);
    if (errno != ERANGE || wanted <= peer.groups.size() || wanted > kMostGroups) {
      return absl::ErrnoToStatus(errno, "SO_PEERGROUPS");
    }
    peer.groups.resize(wanted);
  }
  peer.groups.resize(length / sizeof(gid_t));
  return peer;
}

}  // namespace kinsock
