// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_FLAG_CONFIG_H_
#define KINSOCK_SERVER_CONFIG_FLAG_CONFIG_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/config.h"

namespace kinsock {

// A configuration as it was read at some time. Of no use if there are problems.
struct ConfigReading {
  Config config;
  std::vector<ConfigProblem> problems;
};

// What a command line of kinsockd wants done.
struct CommandLine {
  enum class Action {
    kServe,
    kCheck,  // --check: say whether the configuration is good, and end
    kPrint,  // --help, --version, --print-config: print `text`, and end
  };
  Action action = Action::kServe;
  Config config;
  std::string text;
  std::vector<ConfigProblem> problems;  // not for kServe: what is wrong with the configuration that was asked for
  // Reads the configuration once more: the file anew, below the flags as they were. Any thread; blocks as long as the
  // file system does. Null without a file.
  std::function<ConfigReading()> reread;
};

// Reads the flags, and the file that --config names. The flags of the existing daemon (vhost-device-vsock) mean what
// they mean there. INVALID_ARGUMENT: what is wrong, a line each. Main thread.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_FLAG_CONFIG_H_
