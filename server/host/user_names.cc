// SPDX-License-Identifier: Apache-2.0
#include "server/host/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"

namespace kinsock {
namespace {

// What a name service may say of one name: a group's members come along.
constexpr size_t kNameServiceBytes = 1u << 20;

// The kernel takes it for "no id".
constexpr uint32_t kNobody = 0xffffffff;

}  // namespace

std::optional<uid_t> UserId(const std::string& name) {
  uid_t number = 0;
  if (absl::SimpleAtoi(name, &number) && number != kNobody) return number;
  std::vector<char> buffer(kNameServiceBytes);
  passwd entry;
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->pw_uid;
}

std::optional<gid_t> GroupId(const std::string& name) {
  gid_t number = 0;
  if (absl::SimpleAtoi(name, &number) && number != kNobody) return number;
  std::vector<char> buffer(kNameServiceBytes);
  group entry;
  group* found = nullptr;
  if (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->gr_gid;
}

}  // namespace kinsock
