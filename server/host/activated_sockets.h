// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_ACTIVATED_SOCKETS_H_
#define KINSOCK_SERVER_HOST_ACTIVATED_SOCKETS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace kinsock {

// A listening UNIX socket that systemd has made and hands over (systemd.socket(5), sd_listen_fds(3)). Clients find it
// before the daemon runs and wait in it while the daemon restarts; its file, with owner and mode, is systemd's.
struct ActivatedSocket {
  // By FileDescriptorName= of its unit: "api", "view", "http".
  enum class Kind : uint8_t { kApi, kView, kHttp };
  Kind kind = Kind::kApi;
  std::string path;
  UniqueFd listener;  // non-blocking
};

// Takes over what systemd has handed to this process, and says so to nobody else: its environment forgets it. Without
// systemd: nothing. INVALID_ARGUMENT: a line for each descriptor that has another name, is no listening UNIX stream
// socket with a path, or is a second one for HTTP; all are closed then.
//
// Main thread, before there are others, and once.
absl::StatusOr<std::vector<ActivatedSocket>> TakeActivatedSockets();

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_ACTIVATED_SOCKETS_H_
