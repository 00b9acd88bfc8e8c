// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_CALLER_H_
#define KINSOCK_SERVER_RPC_CALLER_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kinsock {

// What a caller of the API may do. Each role includes those before it.
enum class Role : uint8_t {
  kNone,      // nothing but ask for health and the schema
  kViewer,    // see everything
  kOperator,  // make, change and remove VMs and what belongs to them
  kAdmin,     // the daemon itself
};

// "none", "viewer", "operator", "admin".
const char* RoleName(Role role);

// Who is at the other end of an API connection, as far as the kernel or a certificate vouches for it, and what he may.
// Found out once, when the connection is accepted. Immutable.
struct Caller {
  enum class Transport : uint8_t { kUnix, kTls };
  Transport transport = Transport::kUnix;
  Role role = Role::kNone;
  // kUnix: the process that connected, by SO_PEERCRED. It may have handed its connection on since then.
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  pid_t pid = 0;
  bool view_only = false;  // came by a socket on which nobody is more than a viewer
  // kTls: the name in the certificate that gave the role.
  std::string san;
  // kUnix: his other groups.
  std::vector<gid_t> groups;

  // For messages and logs: "uid 1000 (pid 4711)", "\"spiffe://cluster/node-7\"". One of whom nothing is said stands for
  // all who have no role.
  std::string ToString() const;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_CALLER_H_
