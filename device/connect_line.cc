// SPDX-License-Identifier: Apache-2.0
#include "device/connect_line.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace kinsock {

ConnectLine ConnectLine::Parse(absl::string_view received) {
  constexpr absl::string_view kCommand = "connect ";
  const absl::string_view window = received.substr(0, kMaxBytes);
  const size_t newline = window.find('\n');
  const absl::string_view line = window.substr(0, newline);  // npos: all of it

  const size_t compared = std::min(line.size(), kCommand.size());
  if (!absl::EqualsIgnoreCase(line.substr(0, compared), kCommand.substr(0, compared))) return {};
  if (newline == absl::string_view::npos) {
    if (received.size() >= kMaxBytes) return {};
    return {.status = Status::kIncomplete};
  }
  if (line.size() <= kCommand.size()) return {};
  absl::string_view digits = line.substr(kCommand.size());
  if (absl::EndsWith(digits, "\r")) digits.remove_suffix(1);  // typed into a terminal program
  uint32_t port = 0;
  const bool all_digits = !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!all_digits || !absl::SimpleAtoi(digits, &port) || port == 0xffff'ffff) return {};
  return {.status = Status::kComplete, .port = port, .bytes = newline + 1};
}

}  // namespace kinsock
