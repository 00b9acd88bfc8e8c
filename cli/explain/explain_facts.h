// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_EXPLAIN_EXPLAIN_FACTS_H_
#define KINSOCK_CLI_EXPLAIN_EXPLAIN_FACTS_H_

#include "cli/call/client.h"
#include "cli/explain/explain.h"
#include "cli/text/options.h"

namespace kinsock {

// Asks the daemon for what is known about `facts.source`, `facts.target` (`said` and `host` are set) and `facts.port`.
// An end that is not there is no error. Says on standard error what else went wrong.
ExitCode FindFacts(Client& client, ExplainFacts& facts);

// Looks at the sockets of the host side on this machine, which is the daemon's if `options` say so. Nobody is connected
// to.
void FindHostFacts(const Options& options, ExplainFacts& facts);

}  // namespace kinsock

#endif  // KINSOCK_CLI_EXPLAIN_EXPLAIN_FACTS_H_
