// SPDX-License-Identifier: Apache-2.0
#include "device/vmm_event_fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kinsock {

bool IsEventFd(int fd) {
  constexpr std::string_view kEventFd = "anon_inode:[eventfd]";
  char target[kEventFd.size() + 1];
  const ssize_t length = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), target, sizeof(target));
  return length >= 0 && std::string_view(target, static_cast<size_t>(length)) == kEventFd;
}

VmmEventFd::VmmEventFd(UniqueFd fd, std::shared_ptr<Wakeup> on_held)
    : fd_(std::move(fd)), on_held_(std::move(on_held)) {
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

void VmmEventFd::Signal() {
  if (held()) return;
  if (eventfd_write(fd_.get(), 1) == 0 || errno != EINTR) return;
  held_.store(true, std::memory_order_relaxed);
  if (on_held_ != nullptr) on_held_->Notify();
}

}  // namespace kinsock
