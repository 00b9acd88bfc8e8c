// SPDX-License-Identifier: Apache-2.0
#include "cli/explain/unix_listener.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"
#include "base/unix_address.h"

namespace kinsock {
namespace {

// What the kernel says to a datagram socket that wants to be connected: it looks for the socket behind the file
// before it finds that it is of another type (EPROTOTYPE). 0, or an errno.
int Probe(const std::string& path) {
  const std::optional<sockaddr_un> address = UnixAddress(path);
  if (!address.has_value()) return ENAMETOOLONG;
  const UniqueFd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return errno;
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 ? 0 : errno;
}

// One socket, as sock_diag(7) tells of it.
struct Socket {
  uint8_t state = 0;  // TCP_LISTEN, TCP_ESTABLISHED, TCP_CLOSE
  unix_diag_vfs file{};
  std::string_view name;  // as it was bound
};

bool AskForSockets(int netlink) {
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } question{};
  question.header.nlmsg_len = sizeof(question);
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.request.sdiag_family = AF_UNIX;
  question.request.udiag_states = ~0u;
  question.request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS;
  return send(netlink, &question, sizeof(question), 0) == static_cast<ssize_t>(sizeof(question));
}

Socket ReadSocket(const nlmsghdr& message) {
  Socket found;
  const auto& body = *static_cast<const unix_diag_msg*>(NLMSG_DATA(&message));
  found.state = body.udiag_state;
  auto left = static_cast<int>(message.nlmsg_len - NLMSG_LENGTH(sizeof(body)));
  const auto* attribute = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(&body) + sizeof(body));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == UNIX_DIAG_VFS && RTA_PAYLOAD(attribute) >= sizeof(found.file)) {
      memcpy(&found.file, RTA_DATA(attribute), sizeof(found.file));
    } else if (attribute->rta_type == UNIX_DIAG_NAME) {
      found.name = {static_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)};
      found.name = found.name.substr(0, found.name.find('\0'));  // an abstract one is no file's
    }
  }
  return found;
}

// Those of this network namespace; as far as the kernel tells, which a sandbox may forbid.
void ForEachSocket(const std::function<void(const Socket&)>& take) {
  const UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink.valid() || !AskForSockets(netlink.get())) return;
  alignas(nlmsghdr) char answer[32768];  // what the kernel fills for one call, at most
  for (;;) {
    const ssize_t size = recv(netlink.get(), answer, sizeof(answer), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    auto left = static_cast<uint32_t>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(answer); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY) return;  // the end, or an error
      if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(unix_diag_msg))) take(ReadSocket(*message));
    }
  }
}

// The kernel's own number of a device has 20 bits for the minor one. Some file systems show stat() another device than
// they have; there the name has to be the same.
bool IsSocketOf(const Socket& socket, const struct stat& file, const std::string& path) {
  if (socket.file.udiag_vfs_ino != static_cast<uint32_t>(file.st_ino)) return false;
  const uint32_t device = (major(file.st_dev) << 20) | minor(file.st_dev);
  return socket.file.udiag_vfs_dev == device || socket.name == path;
}

}  // namespace

UnixListener FindListener(const std::string& path) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return UnixListener::kNone;
  bool listens = false, bound = false;
  ForEachSocket([&](const Socket& socket) {
    if (!IsSocketOf(socket, file, path)) return;
    listens = listens || socket.state == TCP_LISTEN;
    // One that was accepted has the file of who listens, or once did.
    bound = bound || socket.state == TCP_CLOSE;
  });
  if (listens) return UnixListener::kListens;
  return bound || IsLeftBehind(path) ? UnixListener::kNone : UnixListener::kUnknown;
}

bool IsLeftBehind(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  return Probe(path) == ECONNREFUSED;
}

}  // namespace kinsock
