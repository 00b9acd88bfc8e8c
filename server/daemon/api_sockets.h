// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_DAEMON_API_SOCKETS_H_
#define KINSOCK_SERVER_DAEMON_API_SOCKETS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config/config.h"
#include "server/config/http_settings.h"
#include "server/host/activated_sockets.h"
#include "server/host/bound_socket.h"
#include "server/host/lock_file.h"
#include "server/host/socket_registry.h"
#include "server/rpc/caller.h"
#include "server/rpc/role_rules.h"

namespace kinsock {

// A socket of the API that listens.
struct ApiSocket {
  BoundSocket socket;
  enum class Kind : uint8_t { kFull, kView, kTcp };  // kTcp: with TLS
  Kind kind = Kind::kFull;
};

// The sockets through which clients come, over gRPC and over HTTP: ours alone from Bind() on, which refuses a second
// daemon before it touches anything, and held until they are taken to be served.
//
// Thread: main.
class ApiSockets {
 public:
  // `activated`: given by systemd, besides what `config` names, and in place of what it names with the same path. Both
  // others outlive this object.
  ApiSockets(const Config& config, SocketRegistry& registry, std::vector<ActivatedSocket> activated);
  ApiSockets(const ApiSockets&) = delete;
  ApiSockets& operator=(const ApiSockets&) = delete;

  // All of them listen, or the first one that does not says why.
  absl::Status Bind();

  // None is held: there are none, or all are taken.
  bool empty() const { return api_.empty() && !http_.has_value(); }
  std::vector<ApiSocket> TakeApi();
  std::optional<BoundSocket> TakeHttp();

  // Whether their files let in other users than the daemon's, also when they are taken: which of them have a role has
  // changed. What systemd gave is systemd's.
  void OpenTo(bool others) const;

 private:
  absl::Status TakeActivated();
  bool IsActivated(ActivatedSocket::Kind kind, const std::string& path) const;
  absl::Status BindHttp();
  absl::StatusOr<BoundSocket> BindSocket(const std::string& path, const std::string& setting, const char* holder);

  const Config& config_;
  SocketRegistry& registry_;
  std::vector<LockFile> locks_;
  std::vector<ActivatedSocket> activated_;  // their listeners until Bind()
  std::vector<ApiSocket> api_;
  std::optional<BoundSocket> http_;
};

// Who is at the other end of `fd`, and what he may.
absl::StatusOr<Caller> IdentifyOnApi(ApiSocket::Kind kind, const RoleRules& rules, int fd);
absl::StatusOr<Caller> IdentifyOverHttp(const HttpSettings& http, const RoleRules& rules, int fd);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_DAEMON_API_SOCKETS_H_
