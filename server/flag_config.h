// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_FLAG_CONFIG_H_
#define KINSOCK_SERVER_FLAG_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/config.h"

namespace kinsock {

// What a command line of kinsockd wants done.
struct CommandLine {
  enum class Action {
    kServe,
    kCheck,  // --check: say whether the configuration is good, and end
    kPrint,  // --help, --version: print `text`, and end
  };
  Action action = Action::kServe;
  Config config;
  std::string text;
};

// Reads the flags, and the file that --config names. The flags of the existing daemon (vhost-device-vsock) mean what
// they mean there. INVALID_ARGUMENT: what is wrong, a line each. Main thread.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_FLAG_CONFIG_H_
