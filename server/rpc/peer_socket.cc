// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/peer_socket.h"

#include <sys/stat.h>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/text.h"

namespace kinsock {

std::optional<PeerSocket> PeerSocket::Of(int fd) {
  struct stat found;
  if (fstat(fd, &found) != 0 || !S_ISSOCK(found.st_mode)) return std::nullopt;
  return PeerSocket{fd, found.st_ino};
}

std::optional<PeerSocket> PeerSocket::Of(std::string_view peer) {
  absl::string_view rest = AbslView(peer);
  int fd = -1;
  if (!absl::ConsumePrefix(&rest, "fd:") || !absl::SimpleAtoi(rest, &fd)) return std::nullopt;
  return Of(fd);
}

bool PeerSocket::IsOpen() const { return Of(fd) == *this; }

}  // namespace kinsock
