// SPDX-License-Identifier: Apache-2.0
#include "cli/process/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace kinsock {

std::string InputName(const std::string& path) { return path == "-" ? "standard input" : path; }

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  const auto fault = [](int error) { return absl::NotFoundError(absl::StrCat("cannot be read: ", strerror(error))); };
  UniqueFd file;
  if (path != "-") {
    file = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return fault(errno);
  }
  const int fd = path == "-" ? STDIN_FILENO : file.get();
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t bytes = read(fd, buffer, sizeof(buffer));
    if (bytes == 0) return text;
    if (bytes < 0 && errno != EINTR) return fault(errno);
    if (bytes > 0) text.append(buffer, static_cast<size_t>(bytes));
    if (text.size() > kMaxInputBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("has more than ", kMaxInputBytes, " bytes, more than any description of VMs"));
    }
  }
}

}  // namespace kinsock
