// SPDX-License-Identifier: Apache-2.0
#include "base/trace_id.h"

#include <algorithm>

namespace kinsock {
namespace {

// version "-" trace-id "-" parent-id "-" trace-flags
constexpr size_t kTraceAt = 3, kTraceDigits = 32;
constexpr size_t kParentAt = 36, kParentDigits = 16;
constexpr size_t kFlagsAt = 53, kBytes = 55;

// Capital letters are none (3.2.2.1: HEXDIGLC).
bool AreHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

std::string TraceId(std::string_view traceparent) {
  if (traceparent.size() < kBytes) return "";
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(kTraceAt, kTraceDigits);
  const std::string_view parent = traceparent.substr(kParentAt, kParentDigits);
  const std::string_view flags = traceparent.substr(kFlagsAt, 2);
  for (const size_t dash : {kTraceAt - 1, kParentAt - 1, kFlagsAt - 1}) {
    if (traceparent[dash] != '-') return "";
  }
  if (!AreHex(version) || !AreHex(trace) || !AreHex(parent) || !AreHex(flags)) return "";
  if (version == "ff" || IsZero(trace) || IsZero(parent)) return "";
  const std::string_view more = traceparent.substr(kBytes);
  if (!more.empty() && (version == "00" || more.front() != '-')) return "";
  return std::string(trace);
}

}  // namespace kinsock
