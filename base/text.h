// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_TEXT_H_
#define KINSOCK_BASE_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/string_view.h"

namespace kinsock {

// Debian's Abseil has a string_view of its own.
inline absl::string_view AbslView(std::string_view text) { return absl::string_view(text.data(), text.size()); }

// `text` in double quotes for an error or a log line: control characters and quotes escaped, cut after 64 bytes. A
// client chose it.
std::string Quoted(std::string_view text);

bool IsUtf8(std::string_view text);

// The one of `known` that `wrong` was probably meant to be, as ` (did you mean "x"?)`; empty if none is near.
std::string DidYouMean(std::string_view wrong, const std::vector<std::string_view>& known);

}  // namespace kinsock

#endif  // KINSOCK_BASE_TEXT_H_
