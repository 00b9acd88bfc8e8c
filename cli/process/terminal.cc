// SPDX-License-Identifier: Apache-2.0
#include "cli/process/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace kinsock {

size_t TerminalColumns(int fd) {
  winsize size{};
  return isatty(fd) == 1 && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool IsCapableTerminal(int fd) {
  const char* const kind = std::getenv("TERM");
  return isatty(fd) == 1 && kind != nullptr && kind[0] != '\0' && std::string_view(kind) != "dumb";
}

bool EnvironmentAllowsColour() {
  const char* const refusal = std::getenv("NO_COLOR");
  return refusal == nullptr || refusal[0] == '\0';
}

}  // namespace kinsock
