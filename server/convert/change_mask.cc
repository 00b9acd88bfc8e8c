// SPDX-License-Identifier: Apache-2.0
#include "server/convert/change_mask.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "server/model/quota.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

bool IsLimit(const std::string& path) {
  return std::any_of(kQuotaFields.begin(), kQuotaFields.end(),
                     [&](std::string_view field) { return path == absl::StrCat("quota.", AbslView(field)); });
}

}  // namespace

absl::StatusOr<google::protobuf::FieldMask> ToMask(const google::protobuf::FieldMask& mask,
                                                   std::initializer_list<const char*> fields) {
  google::protobuf::FieldMask all;
  for (const char* field : fields) all.add_paths(field);
  if (mask.paths().empty()) return all;
  google::protobuf::FieldMask some;
  for (const std::string& path : mask.paths()) {
    if (path == "*") return all;
    const auto has = [&all](std::string_view field) {
      return std::find(all.paths().begin(), all.paths().end(), field) != all.paths().end();
    };
    if (!has(path) && !(has("quota") && IsLimit(path))) {
      return FieldsInvalid("", {{"update_mask", absl::StrCat(Quoted(path), " cannot be changed; name some of ",
                                                             absl::StrJoin(fields, ", "), ", or \"*\"")}});
    }
    some.add_paths(path);
  }
  return some;
}

}  // namespace kinsock
