// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_HOST_RUNTIME_DIR_H_
#define KINSOCK_SERVER_HOST_RUNTIME_DIR_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kinsock {

// Where daemon and command line meet when nobody says otherwise.

// systemd's "%t": $XDG_RUNTIME_DIR for a user's daemon, "/run" for the machine's.
std::string RuntimeRoot();

// systemd's "%S": $XDG_STATE_HOME or ~/.local/state for a user's daemon, "/var/lib" for the machine's.
std::string StateRoot();

// "<runtime root>/kinsock".
std::string RuntimeDir();

// "<runtime dir>/api.sock".
std::string DefaultApiSocket();

// A path from a command line or a file of the user's: a leading "%t" is RuntimeRoot(), "%S" is StateRoot(), and
// what is relative begins in the current directory. Empty stays empty.
std::string UserPath(std::string_view text);

// The UserPath() in "unix:PATH" or "unix:///PATH". INVALID_ARGUMENT: what is wrong, in words that follow
// the name of the setting.
absl::StatusOr<std::string> ParseUnixEndpoint(std::string_view endpoint);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_HOST_RUNTIME_DIR_H_
