// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_CONFIG_COMMAND_LINE_H_
#define KINSOCK_TESTS_SERVER_CONFIG_COMMAND_LINE_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/config.h"
#include "server/config/flag_config.h"

namespace kinsock::testing {

// What kinsockd takes from its command line.
inline absl::StatusOr<CommandLine> Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"kinsockd"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
}

// The same of one that is in order.
inline Config Good(const std::vector<std::string>& arguments) {
  absl::StatusOr<CommandLine> line = Parse(arguments);
  EXPECT_TRUE(line.ok()) << line.status();
  return line.ok() ? line->config : Config();
}

// What is said of one that is not; empty when it is.
inline std::string Fault(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_CONFIG_COMMAND_LINE_H_
