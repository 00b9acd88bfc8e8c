// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/caller.h"

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace kinsock {

const char* RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
    case Role::kNone:
      break;
  }
  return "none";
}

std::string Caller::ToString() const {
  if (transport == Transport::kTls) return san.empty() ? "a certificate without a known name" : Quoted(san);
  if (uid == static_cast<uid_t>(-1)) return "the crowd of callers without a role";
  return absl::StrCat("uid ", uid, " (pid ", pid, ")");
}

}  // namespace kinsock
