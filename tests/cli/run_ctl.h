// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_CLI_RUN_CTL_H_
#define KINSOCK_TESTS_CLI_RUN_CTL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kinsock::testing {

// What a command said and how it ended.
struct Outcome {
  int code = -1;  // or the negative wait status, when it was killed
  std::string out;
  std::string error;
};

using Environment = std::map<std::string, std::string>;

// The kinsockctl that was built.
inline constexpr char kCtl[] = "cli/kinsockctl";

// Runs a program to its end, with `input` as its standard input. PATH comes of the test, all else of `environment`.
Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const Environment& environment = {}, const std::string& input = "");

inline Outcome RunCtl(const std::vector<std::string>& arguments, const Environment& environment,
                      const std::string& input = "") {
  return RunProgram(kCtl, arguments, environment, input);
}

// What a person at a terminal does: he types when he sees something.
struct Typing {
  std::string at;  // behind what he saw before
  std::string text;
};

// The same at a terminal of so many columns: standard output is one, and with `all` the other two, too; then
// everything is in `out`. Who waits in vain for a minute kills it.
Outcome RunAtTerminal(const std::string& program, const std::vector<std::string>& arguments,
                      const Environment& environment, uint16_t columns, bool all = false,
                      const std::vector<Typing>& script = {});

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_CLI_RUN_CTL_H_
