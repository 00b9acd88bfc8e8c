// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_PEER_SOCKET_H_
#define KINSOCK_SERVER_RPC_PEER_SOCKET_H_

#include <sys/types.h>

#include <optional>
#include <string_view>

namespace kinsock {

// The socket of a connection that gRPC was given as a descriptor and owns. gRPC tells nobody when it closes one: the
// descriptor's number and the inode of its socket together say whether it is still open.
//
// gRPC names the peer of a call "fd:<number>". That number names the right connection for as long as the call lasts,
// because gRPC keeps the descriptor until the last call on it is over, and a number can be used again only then
// (docs/adr/0013-who-calls.md; api_connections_test holds gRPC to it).
//
// Any thread.
struct PeerSocket {
  int fd = -1;
  ino_t inode = 0;

  // Nothing: no socket.
  static std::optional<PeerSocket> Of(int fd);
  // The same for gRPC's name of a peer, while the call is not over. Nothing: it was no descriptor, as over TLS.
  static std::optional<PeerSocket> Of(std::string_view peer);

  bool IsOpen() const;

  bool operator==(const PeerSocket&) const = default;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_PEER_SOCKET_H_
