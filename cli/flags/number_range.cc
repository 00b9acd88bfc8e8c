// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/number_range.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kinsock {

bool ParseRange(const std::string& text, uint32_t& first, uint32_t& last) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(parts.first, &first)) return false;
  last = first;
  return text.find('-') == std::string::npos || absl::SimpleAtoi(parts.second, &last);
}

std::string RangeText(uint32_t first, uint32_t last) {
  return first == last ? absl::StrCat(first) : absl::StrCat(first, "-", last);
}

}  // namespace kinsock
