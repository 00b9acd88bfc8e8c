// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_SHELL_WORD_H_
#define KINSOCK_CLI_TEXT_SHELL_WORD_H_

#include <string>

namespace kinsock {

// `word` as a POSIX shell reads it back: as it is when nothing in it means something to a shell, else quoted.
std::string ShellWord(const std::string& word);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_SHELL_WORD_H_
