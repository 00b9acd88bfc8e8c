// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/readiness_flag.h"

#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kinsock {

bool ParseReadiness(const std::string& text, v1::Readiness& readiness) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  uint32_t port = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port)) return false;
  if (parts[0] == "connects") {
    readiness.set_guest_connects_port(port);
  } else if (parts[0] == "probe") {
    readiness.set_probe_guest_port(port);
  } else if (parts[0] == "notify") {
    readiness.set_sd_notify_port(port);
  } else {
    return false;
  }
  return true;
}

std::string ReadinessFault(const std::string& text, const std::string& others) {
  return absl::StrCat("--ready-when: \"", text, "\" is not connects:PORT, probe:PORT or notify:PORT", others);
}

}  // namespace kinsock
