// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_ROLE_RULES_H_
#define KINSOCK_SERVER_RPC_ROLE_RULES_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/host/peer.h"
#include "server/rpc/caller.h"

namespace kinsock {

// Who has which role. The daemon's own user and root always are admins: they could do by other means whatever the API
// refuses. Everybody else has the highest role that his user, or one of his groups, was given; else none.
//
// Immutable once the configuration is read; any thread.
class RoleRules {
 public:
  // "ROLE=user:NAME" or "ROLE=group:NAME", NAME a name or number of this machine; "ROLE=san:NAME", NAME a subject
  // alternative name of a client's certificate, to the letter. Says what is wrong, in words that
  // follow the setting's name; empty: taken.
  std::string Add(std::string_view rule);

  // The same in two parts: "admin", "group:wheel".
  std::string Add(std::string_view role, std::string_view subject);

  Role RoleOf(const Peer& peer) const;

  // The same on a socket for looking: at most a viewer. The file of that socket lets the daemon's group in, for which
  // else it would be of no use.
  Role RoleOnViewSocket(const Peer& peer) const;

  // The highest role that one of the names in a certificate has, and that name; without any: the first name.
  std::pair<Role, std::string> RoleOf(const std::vector<std::string>& sans) const;

  // Whether somebody besides the daemon's own user and root has a role through UNIX sockets: then their files must let
  // others in.
  bool concern_other_users() const { return !users_.empty() || !groups_.empty(); }

  // What was added, role and subject, in that order.
  const std::vector<std::pair<std::string, std::string>>& rules() const { return rules_; }

  friend bool operator==(const RoleRules& a, const RoleRules& b) {
    return a.users_ == b.users_ && a.groups_ == b.groups_ && a.sans_ == b.sans_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> rules_;
  std::map<uid_t, Role> users_;
  std::map<gid_t, Role> groups_;
  std::map<std::string, Role> sans_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_ROLE_RULES_H_
