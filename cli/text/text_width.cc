// SPDX-License-Identifier: Apache-2.0
#include "cli/text/text_width.h"

#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include <string_view>

#include "absl/strings/str_format.h"

namespace kinsock {
namespace {

constexpr char kEllipsis[] = "…";  // one column

// The C library knows the widths of characters, in a locale of UTF-8. Every glibc of today has this one built in.
class Utf8Locale {
 public:
  Utf8Locale() : before_(uselocale(Utf8())) {}
  ~Utf8Locale() { uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
    return utf8;
  }
  const locale_t before_;
};

// The first character of a text that is not empty.
struct Character {
  size_t bytes = 1;
  int columns = -1;  // -1: it is not to be shown
};

bool TurnsDirection(wchar_t c) {
  return c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

Character First(std::string_view text) {
  mbstate_t state{};
  wchar_t c = 0;
  const size_t bytes = mbrtowc(&c, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return {};  // NUL, or no UTF-8
  return {bytes, TurnsDirection(c) ? -1 : wcwidth(c)};
}

}  // namespace

std::string CleanText(const std::string& text) {
  const Utf8Locale locale;
  std::string clean;
  for (std::string_view rest = text; !rest.empty();) {
    const Character character = First(rest);
    for (size_t i = 0; i < character.bytes && character.columns < 0; ++i) {
      absl::StrAppendFormat(&clean, "\\x%02x", static_cast<unsigned char>(rest[i]));
    }
    if (character.columns >= 0) clean += rest.substr(0, character.bytes);
    rest.remove_prefix(character.bytes);
  }
  return clean;
}

size_t TextWidth(const std::string& text) {
  const Utf8Locale locale;
  size_t columns = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const Character character = First(rest);
    columns += character.columns > 0 ? static_cast<size_t>(character.columns) : 0;
    rest.remove_prefix(character.bytes);
  }
  return columns;
}

std::string CutText(const std::string& text, size_t columns) {
  if (TextWidth(text) <= columns) return text;
  if (columns == 0) return "";
  const Utf8Locale locale;
  size_t used = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const Character character = First(rest);
    used += character.columns > 0 ? static_cast<size_t>(character.columns) : 0;
    if (used > columns - 1) break;
    rest.remove_prefix(character.bytes);
  }
  return text.substr(0, text.size() - rest.size()) + kEllipsis;
}

}  // namespace kinsock
