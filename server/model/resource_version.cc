// SPDX-License-Identifier: Apache-2.0
#include "server/model/resource_version.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

// Longer than any that was ever handed out; what a client sends beyond is not looked at.
constexpr size_t kMaxTokenBytes = 256;

absl::string_view View(std::string_view text) { return absl::string_view(text.data(), text.size()); }

}  // namespace

std::string ResourceVersion::ToString() const { return absl::StrCat(epoch, ".", n); }

std::optional<ResourceVersion> ResourceVersion::Parse(std::string_view text) {
  if (text.size() > kMaxTokenBytes) return std::nullopt;
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  ResourceVersion version;
  version.epoch = std::string(text.substr(0, dot));
  const std::string_view digits = text.substr(dot + 1);
  for (const char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  if (!absl::SimpleAtoi(View(digits), &version.n)) return std::nullopt;
  return version;
}

std::string PageToken::ToString() const {
  return absl::WebSafeBase64Escape(absl::StrCat(version.ToString(), "/", after));
}

std::optional<PageToken> PageToken::Parse(std::string_view text) {
  std::string plain;
  if (text.size() > kMaxTokenBytes || !absl::WebSafeBase64Unescape(View(text), &plain)) return std::nullopt;
  const size_t slash = plain.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::optional<ResourceVersion> version = ResourceVersion::Parse(std::string_view(plain).substr(0, slash));
  if (!version.has_value()) return std::nullopt;
  return PageToken{*version, plain.substr(slash + 1)};
}

}  // namespace kinsock
