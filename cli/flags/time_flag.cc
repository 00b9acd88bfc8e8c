// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/time_flag.h"

#include "cli/flags/flag_fault.h"
#include "cli/text/duration.h"

namespace kinsock {

std::optional<std::chrono::milliseconds> TimeOf(const char* flag, const std::string& text) {
  const std::optional<std::chrono::milliseconds> time = ParseDuration(text);
  if (!time.has_value()) Fault(flag, text, "a time; write 30s, 500ms or 2m");
  return time;
}

}  // namespace kinsock
