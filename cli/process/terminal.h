// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_PROCESS_TERMINAL_H_
#define KINSOCK_CLI_PROCESS_TERMINAL_H_

#include <cstddef>

namespace kinsock {

// What is known of the terminal that a descriptor is. Asked anew each time: windows change their size.

// How many columns it shows; 0: it is none, or does not say.
size_t TerminalColumns(int fd);

// Whether it shows colours, and moves its cursor: it is a terminal, not a dumb one ($TERM).
bool IsCapableTerminal(int fd);

// Whether the user wants colours at all (no-color.org).
bool EnvironmentAllowsColour();

}  // namespace kinsock

#endif  // KINSOCK_CLI_PROCESS_TERMINAL_H_
