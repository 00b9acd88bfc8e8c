// SPDX-License-Identifier: Apache-2.0
#include "server/text.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/common.h"

namespace kinsock {
namespace {

constexpr size_t kQuotedBytes = 64;

// Edits (insert, delete, replace a character) from `a` to `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Quoted(std::string_view text) {
  const bool cut = text.size() > kQuotedBytes;
  // Not in the middle of a character.
  size_t length = cut ? kQuotedBytes : text.size();
  while (cut && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  const absl::string_view shown(text.data(), length);
  return absl::StrCat("\"", IsUtf8(text) ? absl::Utf8SafeCEscape(shown) : absl::CEscape(shown), cut ? "...\"" : "\"");
}

bool IsUtf8(std::string_view text) {
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

std::string DidYouMean(std::string_view wrong, const std::vector<std::string_view>& known) {
  constexpr size_t kLongest = 64;  // of a key that was mistyped; the distance costs the product of both lengths
  if (wrong.size() > kLongest) return "";
  std::string_view best;
  size_t best_distance = 3;  // more than two slips, and it was meant to be something else
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(wrong, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : absl::StrCat(" (did you mean \"", AbslView(best), "\"?)");
}

}  // namespace kinsock
