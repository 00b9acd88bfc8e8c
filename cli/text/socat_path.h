// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_SOCAT_PATH_H_
#define KINSOCK_CLI_TEXT_SOCAT_PATH_H_

#include <string>

namespace kinsock {

// `path` as socat reads it back from an address ("UNIX-CONNECT:PATH"). A shell has its own wishes (shell_word.h).
std::string SocatPath(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_SOCAT_PATH_H_
