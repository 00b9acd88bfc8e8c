// SPDX-License-Identifier: Apache-2.0
#include "cli/text/duration.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace kinsock {

std::optional<std::chrono::milliseconds> ParseDuration(const std::string& text) {
  const bool number = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](unsigned char c) { return absl::ascii_isdigit(c) || c == '.'; });
  absl::Duration duration;
  if (!absl::ParseDuration(number ? text + "s" : text, &duration)) return std::nullopt;
  if (duration < absl::ZeroDuration() || duration > absl::Hours(24 * 365)) return std::nullopt;
  return absl::ToChronoMilliseconds(duration);
}

std::string ShortAge(std::chrono::seconds age) {
  const int64_t seconds = std::max<int64_t>(0, age.count());
  if (seconds < 120) return absl::StrCat(seconds, "s");
  if (seconds < 120 * 60) return absl::StrCat(seconds / 60, "m");
  if (seconds < 48 * 3600) return absl::StrCat(seconds / 3600, "h");
  return absl::StrCat(seconds / 86400, "d");
}

void SetDuration(std::chrono::milliseconds from, google::protobuf::Duration& to) {
  to.set_seconds(from.count() / 1000);
  to.set_nanos(static_cast<int32_t>(from.count() % 1000) * 1'000'000);
}

}  // namespace kinsock
