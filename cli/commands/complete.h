// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_COMMANDS_COMPLETE_H_
#define KINSOCK_CLI_COMMANDS_COMPLETE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kinsock {

// What a command line that is being typed may go on with. It is read off the declared commands, so that no list of them
// is kept a second time.

enum class NameKind : uint8_t { kVm, kConnection, kNetwork, kPolicy, kCid, kForward };

// What the daemon is asked: the names of one kind. `network`: for policies and CIDs, as it was typed; empty: it was
// not.
using AskForNames = std::function<std::vector<std::string>(NameKind kind, const std::string& network)>;

struct Candidate {
  std::string word;
  std::string help;  // one line, may be empty
};

// The words that may stand where the last of `words` stands (it may be empty, or begun); `words` are those behind the
// program's name. `names` is asked for what only the daemon knows. Sorted as declared; names as they come.
std::vector<Candidate> Complete(const CLI::App& app, const std::vector<std::string>& words, const AskForNames& names);

// The value that `words` give the option `name` ("--endpoint"), in whatever way: "--endpoint X", "--endpoint=X", and as
// bash splits that. Empty: none.
std::string ValueOf(const std::vector<std::string>& words, const std::string& name);

// Where the first word stands in `words` that is neither an option nor the value of one; words.size() if there is none.
size_t FirstPositional(const CLI::App& app, const std::vector<std::string>& words, size_t from = 0);

// The first of `words` that stands where a command ought to and is none: `"creat" is no command of vm (did you mean
// "create"?)`. Empty: there is none, or what stands before it is not understood either.
std::string UnknownCommand(const CLI::App& app, const std::vector<std::string>& words);

// The script that makes a shell ask: "bash", "zsh" or "fish".
std::string CompletionScript(const std::string& shell);

}  // namespace kinsock

#endif  // KINSOCK_CLI_COMMANDS_COMPLETE_H_
