// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <string>

#include "cli/text/table.h"

namespace kinsock {
namespace {

struct Meaning {
  const char* header;
  const char* word;  // nullptr: any but "-" and "0"
  Tint tint;
};

constexpr Meaning kMeanings[] = {
    {"STATE", "ACTIVE", Tint::kGood},
    {"STATE", "ESTABLISHED", Tint::kGood},
    {"STATE", "SUSPENDED", Tint::kNotice},
    {"STATE", "DRAINING", Tint::kNotice},
    {"STATE", "DRAINED", Tint::kNotice},
    {"STATE", "DELETING", Tint::kNotice},
    {"STATE", "QUARANTINED", Tint::kNotice},
    {"STATE", "FAILED", Tint::kBad},
    {"READY", "yes", Tint::kGood},
    {"ACTION", "allow", Tint::kGood},
    {"ACTION", "deny", Tint::kBad},
    {"REASON", "POLICY_DENIED", Tint::kBad},
    {"REASON", "MALFORMED", Tint::kBad},
    {"REASON", "CREDIT_VIOLATION", Tint::kBad},
    {"REASON", "QUOTA", Tint::kBad},
    {"REASON", "NO_LISTENER", Tint::kNotice},
    {"REASON", "CONNECT_TIMEOUT", Tint::kNotice},
    {"TROUBLE", nullptr, Tint::kNotice},
    {"ERROR", nullptr, Tint::kBad},
    {"DENIED", nullptr, Tint::kBad},
    {"REFUSED", nullptr, Tint::kBad},
};

}  // namespace

Tint TintOf(const std::string& header, const std::string& cell) {
  const auto* const found = std::find_if(std::begin(kMeanings), std::end(kMeanings), [&](const Meaning& meaning) {
    return header == meaning.header && (meaning.word == nullptr ? cell != "-" && cell != "0" : cell == meaning.word);
  });
  return found == std::end(kMeanings) ? Tint::kNone : found->tint;
}

std::string Tinted(const std::string& text, Tint tint) {
  switch (tint) {
    case Tint::kNone:
      break;
    case Tint::kGood:
      return "\033[32m" + text + "\033[0m";
    case Tint::kNotice:
      return "\033[33m" + text + "\033[0m";
    case Tint::kBad:
      return "\033[31m" + text + "\033[0m";
  }
  return text;
}

}  // namespace kinsock
