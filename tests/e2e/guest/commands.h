// SPDX-License-Identifier: Apache-2.0
//
// The commands of vsocktool. Each returns the program's exit status: 0 means that everything it checks was right.
#ifndef KINSOCK_TESTS_E2E_GUEST_COMMANDS_H_
#define KINSOCK_TESTS_E2E_GUEST_COMMANDS_H_

#include "tests/e2e/guest/options.h"

namespace kinsock::guest {

// transfer.cc: one stream, one direction, checked byte for byte. "send" ends when the receiver has read everything.
int Send(const Options& options);
int Receive(const Options& options);

// messages.cc: messages of many sizes in one direction, each checked; the last one has the most bytes.
int Tell(const Options& options);
int Hear(const Options& options);

// exchange.cc: the asker sends its question and half-closes; the answer (stream seed + 1) comes only after that.
int Ask(const Options& options);
int Answer(const Options& options);

// crowd.cc: many connections to an echo, one after the other or all at once.
int Echo(const Options& options);
int Visits(const Options& options);
int Crowd(const Options& options);

// endurance.cc: traffic both ways until the connection breaks, and how it broke; connections that nobody reads.
int Hold(const Options& options);
int Ignore(const Options& options);

// notify.cc: says what stands on standard input, as sd_notify(3) does.
int Notify(const Options& options);

// address.cc: how a connect fails, and who this guest is.
int Refused(const Options& options);
int Cid(const Options& options);

// plain.cc: the pattern on standard output and from standard input, for programs without AF_VSOCK.
int Pattern(const Options& options);
int Check(const Options& options);

// agent.cc: runs commands for the test harness, on a port that is not vsock.
int ServeHarness(const Options& options);

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_COMMANDS_H_
