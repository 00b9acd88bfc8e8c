// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_RELAY_H_
#define KINSOCK_CLI_GUEST_RELAY_H_

#include "base/unique_fd.h"

namespace kinsock {

// Copies between a connected stream socket and two descriptors, until both ways have ended:
//
//     in  --- end of file: shutdown(SHUT_WR), the other way goes on ---> socket
//     out <-- end of stream: `out` is closed, the other way goes on ---- socket
//
// A peer that has closed both ways ends both at once, also while `in` is a terminal at which nobody types. Each way
// holds at most one buffer (64 KiB) and waits for its reader; neither waits for the other.
//
// Returns 0, or the errno that broke the connection or `out`. Closes `out`; `in` stays open. Thread: any; it starts
// one.
int Relay(int in, UniqueFd out, UniqueFd socket);

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_RELAY_H_
