// SPDX-License-Identifier: Apache-2.0
#include "server/host/socket_access.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/user_names.h"

namespace kinsock {
namespace {

constexpr uint32_t kMaxMode = 0777;

}  // namespace

SocketAccess FindSocketAccess(std::string owner, std::string group, uint32_t mode) {
  SocketAccess access{.owner = std::move(owner), .group = std::move(group), .mode = mode, .uid = {}, .gid = {}};
  if (!access.owner.empty()) access.uid = UserId(access.owner);
  if (!access.group.empty()) access.gid = GroupId(access.group);
  return access;
}

void CheckSocketAccess(const SocketAccess& access, const std::string& field, std::vector<FieldViolation>& violations) {
  const auto missing = [&](const char* part, const std::string& name, const char* what) {
    violations.push_back({absl::StrCat(field, ".", part), absl::StrCat("there is no ", what, " ", Quoted(name))});
  };
  if (!access.owner.empty() && !access.uid.has_value()) missing("owner", access.owner, "user");
  if (!access.group.empty() && !access.gid.has_value()) missing("group", access.group, "group");
  if (access.mode > kMaxMode) {
    violations.push_back({field + ".mode", absl::StrCat(access.mode, " is not from 0 to ", kMaxMode, " (0777)")});
  }
}

SocketPermissions PermissionsOf(const std::optional<SocketAccess>& access, SocketPermissions otherwise) {
  if (!access.has_value()) return otherwise;
  SocketPermissions permissions = otherwise;
  if (access->mode != 0) {
    permissions.mode = access->mode;
    permissions.exact = true;
  }
  if (!access->owner.empty()) permissions.uid = access->uid.value_or(permissions.uid);
  if (!access->group.empty()) permissions.gid = access->gid.value_or(permissions.gid);
  return permissions;
}

}  // namespace kinsock
