// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_COMMANDS_COMMANDS_H_
#define KINSOCK_CLI_COMMANDS_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/call/exit_code.h"
#include "cli/text/options.h"

namespace kinsock {

// What the command line asks for; set while it is parsed, run after.
using Command = std::function<ExitCode(const Options&)>;

// Each declares its commands below `app` and sets `command` when one of them was given. Both outlive the parsing.
void DeclareVmCommands(CLI::App& vm, Command& command);                // create, get, list, delete
void DeclareVmChangeCommands(CLI::App& vm, Command& command);          // set, apply
void DeclareApply(CLI::App& app, const char* help, Command& command);  // apply
void DeclareVmDrainCommands(CLI::App& vm, Command& command);           // drain, resume, reset
void DeclareWatchCommands(CLI::App& vm, Command& command);             // watch, wait
void DeclareConnCommands(CLI::App& app, Command& command);             // conn list, watch, reset
void DeclareNetCommands(CLI::App& app, Command& command);              // net ...
void DeclarePolicyCommands(CLI::App& app, Command& command);           // policy ...
void DeclareForwardCommands(CLI::App& app, Command& command);          // forward ...
void DeclareCidCommands(CLI::App& app, Command& command);              // cid ...
void DeclareStats(CLI::App& app, Command& command);                    // stats, pairs
void DeclareTop(CLI::App& app, Command& command);
void DeclareCapture(CLI::App& app, Command& command);  // capture
void DeclareVmmArgs(CLI::App& app, Command& command);  // vmm-args
void DeclareInfo(CLI::App& app, Command& command);     // info
void DeclareAdmin(CLI::App& app, Command& command);    // log-level, daemon drain, and those of DeclareConfig()
void DeclareConfig(CLI::App& app, CLI::App& daemon, Command& command);  // config dump, check; daemon reload
void DeclareEvents(CLI::App& app, Command& command);                    // events
void DeclareTrace(CLI::App& app, Command& command);                     // trace

void DeclareExplain(CLI::App& app, Command& command);
void DeclareGuestCommands(CLI::App& app, Command& command);  // connect, listen, proxy, socat
void DeclareTunnel(CLI::App& app, Command& command);         // tunnel
void DeclareBench(CLI::App& app, Command& command);          // bench
void DeclareCompletion(CLI::App& app, Command& command);     // completion
// ssh, ssh-config. `rest`: what follows ssh's VM on the command line, which is ssh's to understand.
void DeclareSshCommands(CLI::App& app, const std::vector<std::string>& rest, Command& command);

// What completion scripts ask for: the candidates for the last of `words`, one a line, behind a tab what it does.
void PrintCandidates(const CLI::App& app, const std::vector<std::string>& words, const Options& options);

}  // namespace kinsock

#endif  // KINSOCK_CLI_COMMANDS_COMMANDS_H_
