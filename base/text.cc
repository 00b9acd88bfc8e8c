// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "google/protobuf/stubs/common.h"

namespace kinsock {
namespace {

constexpr size_t kQuotedBytes = 64;

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
  const std::string_view nearest = NearestName(wrong, known);
  return nearest.empty() ? "" : absl::StrCat(" (did you mean \"", AbslView(nearest), "\"?)");
}

}  // namespace kinsock
