// SPDX-License-Identifier: Apache-2.0
#include "cli/text/progress.h"

#include <unistd.h>

#include <cstdio>

#include "cli/process/terminal.h"
#include "cli/text/text_width.h"

namespace kinsock {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr char kEraseLine[] = "\r\033[K";
constexpr size_t kUsualColumns = 80;

}  // namespace

Progress::Progress() : is_seen_(IsCapableTerminal(STDERR_FILENO)), begun_(std::chrono::steady_clock::now()) {}

void Progress::Say(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_seen_ || now - begun_ < kPatience || (said_.has_value() && now - *said_ < kInterval)) return;
  said_ = now;
  is_shown_ = true;
  const size_t columns = TerminalColumns(STDERR_FILENO);
  // The last column stays free: some terminals go on to the next line.
  const std::string line = CutText(CleanText(text), (columns == 0 ? kUsualColumns : columns) - 1);
  std::fprintf(stderr, "%s%s", kEraseLine, line.c_str());
}

void Progress::Clear() {
  if (is_shown_) std::fputs(kEraseLine, stderr);
  is_shown_ = false;
}

}  // namespace kinsock
