// SPDX-License-Identifier: Apache-2.0
#include "server/convert/resource_name.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "server/model/vm_validation.h"
#include "server/status/error.h"

namespace kinsock {

namespace {

std::optional<std::string> ParseName(std::string_view name, std::string_view collection) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(name), '/');
  if (parts.size() != 2 || parts[0] != collection || !IsVmId(parts[1])) return std::nullopt;
  return parts[1];
}

}  // namespace

std::optional<std::string> ParseForwardName(std::string_view name) { return ParseName(name, "forwards"); }

std::optional<std::string> ParseNetworkName(std::string_view name) { return ParseName(name, "networks"); }

std::optional<std::pair<std::string, std::string>> ParsePolicyName(std::string_view name) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(name), '/');
  if (parts.size() != 4 || parts[0] != "networks" || !IsVmId(parts[1]) || parts[2] != "policies" || !IsVmId(parts[3])) {
    return std::nullopt;
  }
  return std::pair(parts[1], parts[3]);
}

std::optional<std::pair<std::string, Cid>> ParseCidName(std::string_view name) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(name), '/');
  Cid cid = 0;
  if (parts.size() != 4 || parts[0] != "networks" || !IsVmId(parts[1]) || parts[2] != "cids" ||
      !absl::SimpleAtoi(parts[3], &cid) || !IsGuestCid(cid) || absl::StrCat(cid) != parts[3]) {
    return std::nullopt;
  }
  return std::pair(parts[1], cid);
}

absl::Status NotAName(const char* field, std::string_view name, const char* form) {
  return FieldsInvalid("", {{field, absl::StrCat(Quoted(name), " is not of the form \"", form, "\"")}});
}

}  // namespace kinsock
