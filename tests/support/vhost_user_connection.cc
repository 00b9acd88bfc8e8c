// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vhost_user_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"
#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

// A wait is cut into turns of this length when somebody needs the test's thread in between.
constexpr int kTurnMillis = 1;

// More than any reply carries.
constexpr size_t kMaxFds = 253;

// Larger than any reply of the protocol: a length beyond is garbage, not a message.
constexpr uint32_t kMaxPayload = 4096;

sockaddr_un Address(const std::string& path) {
  const std::optional<sockaddr_un> address = UnixAddress(path);
  Require(address.has_value(), "the path of a socket is too long");
  return *address;
}

}  // namespace

absl::StatusOr<VhostUserConnection> VhostUserConnection::Open(const std::string& path, Idle idle) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  Require(socket.valid(), "no socket");
  const sockaddr_un address = Address(path);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    // EAGAIN: the backlog is full (unix(7)).
    const bool retry = errno == EAGAIN && std::chrono::steady_clock::now() < deadline;
    if (!retry) return absl::ErrnoToStatus(errno, absl::StrCat("cannot connect to ", path));
    if (idle) idle();
    poll(nullptr, 0, kTurnMillis);
  }
  return VhostUserConnection(std::move(socket), std::move(idle));
}

absl::Status VhostUserConnection::Send(uint32_t request, std::span<const std::byte> payload, std::span<const int> fds,
                                       uint32_t flags) {
  const VhostUserHeader header{request, flags, static_cast<uint32_t>(payload.size())};
  std::vector<std::byte> bytes(sizeof(header) + payload.size());
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
  return SendBytes(bytes, fds);
}

absl::Status VhostUserConnection::SendBytes(std::span<const std::byte> bytes, std::span<const int> fds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  Require(fds.size() <= kMaxFds, "the kernel takes 253 descriptors at most");
  while (!bytes.empty()) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
      fds = {};
    } else if (errno != EAGAIN && errno != EINTR && errno != ETOOMANYREFS) {
      return absl::ErrnoToStatus(errno, "the back-end does not take a message");
    } else if (!Await(POLLOUT, deadline)) {
      return absl::DeadlineExceededError("the back-end does not read");
    }
  }
  return absl::OkStatus();
}

bool VhostUserConnection::Await(short events, std::chrono::steady_clock::time_point deadline) {
  while (std::chrono::steady_clock::now() < deadline) {
    if (idle_) idle_();
    pollfd socket{socket_.get(), events, 0};
    if (poll(&socket, 1, idle_ ? kTurnMillis : 100) > 0) return true;
  }
  return false;
}

absl::Status VhostUserConnection::ReadExactly(std::span<std::byte> into, std::vector<UniqueFd>* fds,
                                              std::chrono::steady_clock::time_point deadline) {
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))];
  while (!into.empty()) {
    iovec part{into.data(), into.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t size = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size == 0) return absl::UnavailableError("the back-end closed the session");
    if (size < 0 && errno == EAGAIN) {
      if (!Await(POLLIN, deadline)) return absl::DeadlineExceededError("no reply from the back-end");
      continue;
    }
    if (size < 0) return absl::ErrnoToStatus(errno, "no reply from the back-end");
    into = into.subspan(static_cast<size_t>(size));
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        fds->push_back(UniqueFd(fd));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<VhostUserConnection::Message> VhostUserConnection::Receive(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Message message;
  absl::Status status = ReadExactly(std::as_writable_bytes(std::span(&message.header, 1)), &message.fds, deadline);
  if (!status.ok()) return status;
  if (message.header.size > kMaxPayload) {
    return absl::InternalError(absl::StrCat("a reply claims ", message.header.size, " bytes"));
  }
  message.payload.resize(message.header.size);
  status = ReadExactly(std::as_writable_bytes(std::span(message.payload)), &message.fds, deadline);
  if (!status.ok()) return status;
  return message;
}

absl::Status VhostUserConnection::AwaitClose(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  char dropped[512];
  while (true) {
    const ssize_t size = recv(socket_.get(), dropped, sizeof(dropped), 0);
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return absl::OkStatus();
    if (size < 0 && errno != EAGAIN) return absl::ErrnoToStatus(errno, "recv");
    if (size < 0 && !Await(POLLIN, deadline)) return absl::DeadlineExceededError("the back-end keeps the session");
  }
}

bool VhostUserConnection::closed() const {
  pollfd socket{socket_.get(), POLLIN, 0};
  return poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

bool VhostUserConnection::readable() const {
  char byte;
  return recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void VhostUserConnection::FinishSending() { shutdown(socket_.get(), SHUT_WR); }

}  // namespace kinsock::testing
