// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_connections.h"

#include <chrono>
#include <iterator>

namespace kinsock {
namespace {

// Looking which connections still live costs a system call for each; a flood must not make that the main thread's work.
constexpr std::chrono::milliseconds kSweepInterval{100};

}  // namespace

bool ApiConnections::Add(int fd, const Caller& caller) {
  const std::optional<PeerSocket> socket = PeerSocket::Of(fd);
  if (!socket.has_value()) return false;
  MutexLock lock(mutex_);
  // Whoever had this number before is gone: the kernel has just given it out again.
  open_.erase(fd);
  if (!HasRoom(caller)) {
    if (clock_.Now() - swept_ < kSweepInterval) return false;
    ForgetClosed();
    if (!HasRoom(caller)) return false;
  }
  open_.emplace(fd, Connection{*socket, caller});
  return true;
}

void ApiConnections::Remove(int fd) {
  MutexLock lock(mutex_);
  open_.erase(fd);
}

bool ApiConnections::HasRoom(const Caller& caller) const {
  size_t of_user = 0;
  size_t without_role = 0;
  size_t tls = 0;
  for (const auto& [fd, connection] : open_) {
    const Caller& other = connection.caller;
    if (other.transport == Caller::Transport::kTls) {
      ++tls;
    } else {
      if (other.uid == caller.uid) ++of_user;
      if (other.role == Role::kNone) ++without_role;
    }
  }
  if (open_.size() >= limits_.total) return false;
  if (caller.transport == Caller::Transport::kTls) return tls < limits_.tls;
  return of_user < limits_.per_uid && (caller.role != Role::kNone || without_role < limits_.without_role);
}

std::optional<Caller> ApiConnections::Find(std::string_view peer) const {
  const std::optional<PeerSocket> socket = PeerSocket::Of(peer);
  if (!socket.has_value()) return std::nullopt;
  MutexLock lock(mutex_);
  const auto found = open_.find(socket->fd);
  // The second is what the first promises; were it ever broken, nobody would be taken for somebody else.
  if (found == open_.end() || found->second.socket != *socket) return std::nullopt;
  return found->second.caller;
}

size_t ApiConnections::size() {
  MutexLock lock(mutex_);
  ForgetClosed();
  return open_.size();
}

void ApiConnections::ForgetClosed() {
  swept_ = clock_.Now();
  for (auto connection = open_.begin(); connection != open_.end();) {
    connection = connection->second.socket.IsOpen() ? std::next(connection) : open_.erase(connection);
  }
}

}  // namespace kinsock
