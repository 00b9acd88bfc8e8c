// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_SOCKET_ACCESS_FLAGS_H_
#define KINSOCK_CLI_FLAGS_SOCKET_ACCESS_FLAGS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// Who may connect to a UNIX socket: --mode, --owner and --group, or with a prefix, --socket-mode.
struct SocketAccessFlags {
  std::string mode;
  std::string owner;
  std::string group;

  bool any() const { return !mode.empty() || !owner.empty() || !group.empty(); }
  // `prefix`: "--" or "--socket-".
  void Add(CLI::App& app, const std::string& prefix);
  // False: the mode is none.
  bool Fill(v1::SocketAccess& access) const;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_SOCKET_ACCESS_FLAGS_H_
