// SPDX-License-Identifier: Apache-2.0
#include "server/daemon/api_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "server/host/peer.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr int kApiBacklog = 128;
// The daemon's user and group may connect.
constexpr mode_t kApiSocketMode = 0660;
constexpr mode_t kRuntimeDirMode = 0750;
// Everybody may, when others have roles: the kernel then tells who they are, and the role decides.
constexpr mode_t kSharedApiSocketMode = 0666;
constexpr mode_t kSharedRuntimeDirMode = 0711;

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

ApiSockets::ApiSockets(const Config& config, SocketRegistry& registry, std::vector<ActivatedSocket> activated)
    : config_(config), registry_(registry), activated_(std::move(activated)) {}

// Their files and locks are systemd's.
absl::Status ApiSockets::TakeActivated() {
  for (ActivatedSocket& given : activated_) {
    const std::string path = CanonicalSocketPath(given.path);
    const bool http = given.kind == ActivatedSocket::Kind::kHttp;
    KINSOCK_RETURN_IF_ERROR(registry_.CheckFree(path, false));
    registry_.Take(path, false, http ? "HTTP" : "the API");
    BoundSocket socket = BoundSocket::WithoutFile(std::move(given.listener));
    if (http) {
      http_ = std::move(socket);
    } else {
      const bool view = given.kind == ActivatedSocket::Kind::kView;
      api_.push_back({std::move(socket), view ? ApiSocket::Kind::kView : ApiSocket::Kind::kFull});
    }
  }
  return absl::OkStatus();
}

bool ApiSockets::IsActivated(ActivatedSocket::Kind kind, const std::string& path) const {
  return std::any_of(activated_.begin(), activated_.end(), [&](const ActivatedSocket& given) {
    return given.kind == kind && CanonicalSocketPath(given.path) == CanonicalSocketPath(path);
  });
}

absl::Status ApiSockets::Bind() {
  KINSOCK_RETURN_IF_ERROR(TakeActivated());
  for (const std::string& path : config_.api_sockets) {
    if (IsActivated(ActivatedSocket::Kind::kApi, path)) continue;
    KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket, BindSocket(path, "--api", "the API"));
    api_.push_back({std::move(socket), ApiSocket::Kind::kFull});
  }
  for (const std::string& path : config_.api_view_sockets) {
    if (IsActivated(ActivatedSocket::Kind::kView, path)) continue;
    KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket, BindSocket(path, "--api-view", "the API"));
    api_.push_back({std::move(socket), ApiSocket::Kind::kView});
  }
  for (const TcpEndpoint& endpoint : config_.api_tcp) {
    KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, endpoint.Listen(kApiBacklog));
    registry_.Take(endpoint.place(), false, "the API");
    api_.push_back({BoundSocket::WithoutFile(std::move(listener)), ApiSocket::Kind::kTcp});
  }
  return BindHttp();
}

absl::Status ApiSockets::BindHttp() {
  if (!config_.http.socket.empty() && IsActivated(ActivatedSocket::Kind::kHttp, config_.http.socket)) {
    return absl::OkStatus();
  }
  if (http_.has_value() && config_.http.wanted()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--http: ", config_.http.endpoint(),
                     " is another socket than systemd gives for HTTP; take one of the two out"));
  }
  if (config_.http.tcp.has_value()) {
    KINSOCK_ASSIGN_OR_RETURN(UniqueFd listener, config_.http.tcp->Listen(kApiBacklog, "--http"));
    registry_.Take(config_.http.tcp->place(), false, "HTTP");
    http_ = BoundSocket::WithoutFile(std::move(listener));
  } else if (!config_.http.socket.empty()) {
    KINSOCK_ASSIGN_OR_RETURN(http_, BindSocket(config_.http.socket, "--http", "HTTP"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BoundSocket> ApiSockets::BindSocket(const std::string& path, const std::string& setting,
                                                   const char* holder) {
  const bool shared = config_.api_roles.concern_other_users();
  // The default directory is the daemon's own; any other is its owner's to make.
  const std::string runtime_dir = RuntimeDir();
  if (DirectoryOf(path) == runtime_dir && mkdir(runtime_dir.c_str(), kRuntimeDirMode) == 0 && shared) {
    chmod(runtime_dir.c_str(), kSharedRuntimeDirMode);
  }
  const std::string canonical = CanonicalSocketPath(path);
  KINSOCK_RETURN_IF_ERROR(registry_.CheckFree(canonical, false));
  // First of all: the lock would be made beside a place that is no good.
  const SocketPlace place = InspectSocketPlace(path, false);
  if (place.kind == SocketPlace::Kind::kRefused) {
    return Error(absl::StatusCode::kFailedPrecondition, "SOCKET_FAILED",
                 absl::StrCat(setting, ": ", path, " ", place.reason));
  }
  KINSOCK_ASSIGN_OR_RETURN(LockFile lock, LockFile::Acquire(path + ".lock"));
  KINSOCK_ASSIGN_OR_RETURN(BoundSocket socket,
                           BoundSocket::Listen(path, kApiBacklog, shared ? kSharedApiSocketMode : kApiSocketMode));
  registry_.Take(canonical, false, holder);
  locks_.push_back(std::move(lock));
  return socket;
}

void ApiSockets::OpenTo(bool others) const {
  const std::string runtime_dir = RuntimeDir();
  std::vector<std::string> paths = config_.api_sockets;
  paths.insert(paths.end(), config_.api_view_sockets.begin(), config_.api_view_sockets.end());
  if (!config_.http.socket.empty()) paths.push_back(config_.http.socket);
  for (const std::string& path : paths) {
    struct stat directory;
    if (others && DirectoryOf(path) == runtime_dir && stat(runtime_dir.c_str(), &directory) == 0 &&
        directory.st_uid == geteuid()) {
      chmod(runtime_dir.c_str(), kSharedRuntimeDirMode);
    }
    chmod(path.c_str(), others ? kSharedApiSocketMode : kApiSocketMode);
  }
}

std::vector<ApiSocket> ApiSockets::TakeApi() { return std::exchange(api_, {}); }

std::optional<BoundSocket> ApiSockets::TakeHttp() { return std::exchange(http_, std::nullopt); }

absl::StatusOr<Caller> IdentifyOnApi(ApiSocket::Kind kind, const RoleRules& rules, int fd) {
  if (kind == ApiSocket::Kind::kTcp) {
    // Who it is, the handshake will tell, and Access asks.
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return Caller{.transport = Caller::Transport::kTls};
  }
  KINSOCK_ASSIGN_OR_RETURN(const Peer peer, PeerOf(fd));
  const bool view_only = kind == ApiSocket::Kind::kView;
  const Role role = view_only ? rules.RoleOnViewSocket(peer) : rules.RoleOf(peer);
  return Caller{Caller::Transport::kUnix, role, peer.uid, peer.gid, peer.pid, view_only, "", peer.groups};
}

// By the socket everybody is a viewer whom its file lets in; over TCP nobody knows who it is, and the one who turned it
// on has said that everybody on this machine may look.
absl::StatusOr<Caller> IdentifyOverHttp(const HttpSettings& http, const RoleRules& rules, int fd) {
  if (http.tcp.has_value()) return Caller{.transport = Caller::Transport::kTls, .role = Role::kViewer};
  KINSOCK_ASSIGN_OR_RETURN(const Peer peer, PeerOf(fd));
  const Role role = std::max(rules.RoleOnViewSocket(peer), rules.RoleOf(peer));
  return Caller{Caller::Transport::kUnix, role, peer.uid, peer.gid, peer.pid, false, "", peer.groups};
}

}  // namespace kinsock
