// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/role_rules.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "server/host/user_names.h"

namespace kinsock {
namespace {

std::optional<Role> RoleOfName(std::string_view name) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (name == RoleName(role)) return role;
  }
  return std::nullopt;
}

template <typename Id>
void Raise(std::map<Id, Role>& roles, const Id& id, Role role) {
  Role& had = roles.try_emplace(id, Role::kNone).first->second;
  had = std::max(had, role);
}

template <typename Id>
Role Look(const std::map<Id, Role>& roles, const Id& id) {
  const auto found = roles.find(id);
  return found == roles.end() ? Role::kNone : found->second;
}

}  // namespace

std::string RoleRules::Add(std::string_view rule) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(AbslView(rule), absl::MaxSplits('=', 1));
  if (parts.second.empty()) {
    return absl::StrCat(Quoted(rule), " gives nobody a role; write ROLE=user:NAME, ROLE=group:NAME or ROLE=san:NAME");
  }
  return Add(parts.first, parts.second);
}

std::string RoleRules::Add(std::string_view role_name, std::string_view subject) {
  const std::optional<Role> role = RoleOfName(role_name);
  if (!role.has_value()) return absl::StrCat(Quoted(role_name), " is no role; there are viewer, operator and admin");
  const std::pair<std::string, std::string> parts = absl::StrSplit(AbslView(subject), absl::MaxSplits(':', 1));
  const auto& [kind, name] = parts;
  if (kind == "user" && !name.empty()) {
    const std::optional<uid_t> uid = UserId(name);
    if (!uid.has_value()) return absl::StrCat(Quoted(name), " is no user of this machine; create it, or give a number");
    Raise(users_, *uid, *role);
    rules_.emplace_back(role_name, subject);
    return "";
  }
  if (kind == "group" && !name.empty()) {
    const std::optional<gid_t> gid = GroupId(name);
    if (!gid.has_value())
      return absl::StrCat(Quoted(name), " is no group of this machine; create it, or give a number");
    Raise(groups_, *gid, *role);
    rules_.emplace_back(role_name, subject);
    return "";
  }
  if (kind == "san" && !name.empty()) {
    Raise(sans_, name, *role);
    rules_.emplace_back(role_name, subject);
    return "";
  }
  return absl::StrCat(Quoted(subject), " names nobody; write user:NAME, group:NAME or san:NAME");
}

Role RoleRules::RoleOf(const Peer& peer) const {
  if (peer.uid == 0 || peer.uid == geteuid()) return Role::kAdmin;
  Role role = std::max(Look(users_, peer.uid), Look(groups_, peer.gid));
  for (const gid_t group : peer.groups) role = std::max(role, Look(groups_, group));
  return role;
}

Role RoleRules::RoleOnViewSocket(const Peer& peer) const {
  const gid_t own = getegid();
  const bool of_group = peer.gid == own || std::find(peer.groups.begin(), peer.groups.end(), own) != peer.groups.end();
  return of_group ? Role::kViewer : std::min(Role::kViewer, RoleOf(peer));
}

std::pair<Role, std::string> RoleRules::RoleOf(const std::vector<std::string>& sans) const {
  std::pair<Role, std::string> best{Role::kNone, sans.empty() ? std::string() : sans.front()};
  for (const std::string& san : sans) {
    if (const Role role = Look(sans_, san); role > best.first) best = {role, san};
  }
  return best;
}

}  // namespace kinsock
