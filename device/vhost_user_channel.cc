// SPDX-License-Identifier: Apache-2.0
#include "device/vhost_user_channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kinsock {
namespace {

// Takes the descriptors out of a received message. All of them, however many: those that are left would leak.
void TakeFds(msghdr& message, std::vector<UniqueFd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
}

absl::Status CheckFrame(const VhostUserHeader& header) {
  if ((header.flags & kVhostUserVersionMask) != kVhostUserVersion) {
    return absl::InvalidArgumentError(absl::StrFormat("message flags 0x%x: not version 1", header.flags));
  }
  if (header.flags & kVhostUserReply) {
    return absl::InvalidArgumentError(absl::StrCat("request ", header.request, " is marked as a reply"));
  }
  const VhostUserMessageRule* rule = FindVhostUserRule(header.request);
  if (rule == nullptr) return absl::UnimplementedError(absl::StrCat("request ", header.request, " is not served"));
  if (header.size < rule->min_payload || header.size > rule->max_payload) {
    return absl::InvalidArgumentError(absl::StrCat(rule->name, ": payload of ", header.size, " bytes, not ",
                                                   rule->min_payload, " to ", rule->max_payload));
  }
  return absl::OkStatus();
}

absl::Status CheckFds(const VhostUserMessage& message) {
  const VhostUserMessageRule* rule = FindVhostUserRule(message.header.request);
  const size_t count = message.fds.size();
  if (count >= rule->min_fds && count <= rule->max_fds) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(rule->name, ": ", count, " file descriptors, not ", rule->min_fds, " to ", rule->max_fds));
}

}  // namespace

VhostUserChannel::ReadResult VhostUserChannel::Fail(absl::Status error) {
  error_ = std::move(error);
  return ReadResult::kError;
}

// Reads the missing part of `wanted` bytes at `to`, of which `have` are there.
VhostUserChannel::ReadResult VhostUserChannel::ReadInto(void* to, size_t wanted, size_t& have) {
  while (have < wanted) {
    iovec piece{static_cast<char*>(to) + have, wanted - have};
    // Room for more than any message may have: the surplus is counted, closed and refused.
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4 * kMaxVhostUserFds)];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return ReadResult::kIncomplete;
    if (got < 0) return Fail(absl::ErrnoToStatus(errno, "vhost-user socket"));
    TakeFds(message, partial_.fds);
    if (got == 0) {
      if (!MidMessage()) return ReadResult::kClosed;
      return Fail(absl::InvalidArgumentError("the front-end left in the middle of a message"));
    }
    if (message.msg_flags & MSG_CTRUNC) {
      return Fail(absl::ResourceExhaustedError("file descriptors of a message were lost: too many, or none left"));
    }
    if (partial_.fds.size() > 4 * kMaxVhostUserFds) {
      return Fail(absl::InvalidArgumentError("too many file descriptors with one message"));
    }
    have += static_cast<size_t>(got);
  }
  return ReadResult::kMessage;
}

VhostUserChannel::ReadResult VhostUserChannel::Read(VhostUserMessage& message) {
  if (header_bytes_ < sizeof(VhostUserHeader)) {
    const ReadResult result = ReadInto(&partial_.header, sizeof(VhostUserHeader), header_bytes_);
    if (result != ReadResult::kMessage) return result;
    if (absl::Status status = CheckFrame(partial_.header); !status.ok()) return Fail(std::move(status));
  }
  const ReadResult result = ReadInto(partial_.payload.data(), partial_.header.size, payload_bytes_);
  if (result != ReadResult::kMessage) return result;
  if (absl::Status status = CheckFds(partial_); !status.ok()) return Fail(std::move(status));
  message = std::move(partial_);
  partial_.fds.clear();
  header_bytes_ = 0;
  payload_bytes_ = 0;
  return ReadResult::kMessage;
}

absl::Status VhostUserChannel::Reply(const VhostUserHeader& request, absl::Span<const std::byte> payload) {
  VhostUserHeader header{.request = request.request,
                         .flags = kVhostUserVersion | kVhostUserReply,
                         .size = static_cast<uint32_t>(payload.size())};
  iovec pieces[2] = {{&header, sizeof(header)}, {const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  const ssize_t sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(sizeof(header) + payload.size())) return absl::OkStatus();
  return absl::UnavailableError("the front-end does not take replies");
}

}  // namespace kinsock
