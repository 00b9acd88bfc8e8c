// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/quota_flags.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kinsock {
namespace {

std::optional<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t unit = 1;
  for (const auto& [suffix, worth] : {std::pair<absl::string_view, uint64_t>{"Ki", 1ull << 10},
                                      {"Mi", 1ull << 20},
                                      {"Gi", 1ull << 30},
                                      {"k", 1'000},
                                      {"M", 1'000'000},
                                      {"G", 1'000'000'000}}) {
    if (!absl::EndsWith(text, suffix)) continue;
    text.remove_suffix(suffix.size());
    unit = worth;
    break;
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number > std::numeric_limits<uint64_t>::max() / unit) return std::nullopt;
  return number * unit;
}

std::string ParseField(absl::string_view text, const google::protobuf::FieldDescriptor& field, v1::Quota& quota) {
  const google::protobuf::Reflection& set = *v1::Quota::GetReflection();
  if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
    auto& bucket = static_cast<v1::TokenBucket&>(*set.MutableMessage(&quota, &field));
    const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
    const std::optional<uint64_t> rate = ParseNumber(parts[0]);
    const std::optional<uint64_t> burst = parts.size() == 2 ? ParseNumber(parts[1]) : 0;
    if (!rate.has_value() || !burst.has_value()) return "is not RATE or RATE/BURST, as 10M or 10M/1M";
    bucket.set_rate(*rate);
    bucket.set_burst(*burst);
    return "";
  }
  const std::optional<uint64_t> number = ParseNumber(text);
  if (!number.has_value()) return "is not a number, as 500 or 16Mi";
  if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_UINT64) {
    set.SetUInt64(&quota, &field, *number);
    return "";
  }
  if (*number > std::numeric_limits<uint32_t>::max()) return "is too large";
  set.SetUInt32(&quota, &field, static_cast<uint32_t>(*number));
  return "";
}

std::string Names() {
  std::vector<std::string> names;
  for (int i = 0; i < v1::Quota::descriptor()->field_count(); ++i) {
    names.push_back(v1::Quota::descriptor()->field(i)->name());
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

std::string ParseQuota(const std::vector<std::string>& flags, v1::Quota& quota, std::vector<std::string>& limits) {
  for (const std::string& flag : flags) {
    const std::vector<std::string> parts = absl::StrSplit(flag, absl::MaxSplits('=', 1));
    const auto* field = v1::Quota::descriptor()->FindFieldByName(parts[0]);
    if (parts.size() != 2 || field == nullptr) {
      return absl::StrCat("--quota: \"", flag, "\" is not LIMIT=VALUE; the limits are ", Names());
    }
    const std::string fault = ParseField(parts[1], *field, quota);
    if (!fault.empty()) return absl::StrCat("--quota: \"", parts[1], "\" of ", parts[0], " ", fault);
    limits.push_back(parts[0]);
  }
  return "";
}

}  // namespace kinsock
