// SPDX-License-Identifier: Apache-2.0
//
// What test guests do over AF_VSOCK: one program, one command each.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/options.h"

namespace {

using kinsock::guest::Options;

struct Command {
  std::string_view name;
  int (*run)(const Options&);
  const char* usage;
};

constexpr auto kCommands = std::to_array<Command>({
    {"send", kinsock::guest::Send, "--connect CID:PORT | --listen PORT  --bytes N [--seed S] [--sha256]"},
    {"receive", kinsock::guest::Receive, "--connect CID:PORT | --listen PORT  --bytes N [--seed S] [--sha256]"},
    {"tell", kinsock::guest::Tell, "--connect CID:PORT | --listen PORT  --count N --bytes MOST [--seed S]"},
    {"hear", kinsock::guest::Hear, "--connect CID:PORT | --listen PORT  --count N --bytes MOST [--seed S]"},
    {"ask", kinsock::guest::Ask, "--connect CID:PORT | --listen PORT  --bytes N [--seed S]"},
    {"answer", kinsock::guest::Answer, "--connect CID:PORT | --listen PORT  --bytes N [--seed S]"},
    {"echo", kinsock::guest::Echo, "--listen PORT"},
    {"visits", kinsock::guest::Visits, "--connect CID:PORT --count N --bytes N [--seed S]"},
    {"crowd", kinsock::guest::Crowd, "--connect CID:PORT --count N --bytes N [--seed S]"},
    {"hold", kinsock::guest::Hold, "--connect CID:PORT | --listen PORT  [--seed S]"},
    {"ignore", kinsock::guest::Ignore, "--listen PORT"},
    {"refused", kinsock::guest::Refused, "--connect CID:PORT [--seqpacket]"},
    {"notify", kinsock::guest::Notify, "--connect CID:PORT [--seqpacket] < TEXT"},
    {"cid", kinsock::guest::Cid, ""},
    {"pattern", kinsock::guest::Pattern, "--bytes N [--seed S]"},
    {"check", kinsock::guest::Check, "--bytes N [--seed S]"},
    {"agent", kinsock::guest::ServeHarness, "--path DEVICE"},
});

int Usage() {
  for (const Command& command : kCommands) {
    std::fprintf(stderr, "vsocktool %.*s %s\n", static_cast<int>(command.name.size()), command.name.data(),
                 command.usage);
  }
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return Usage();
  const auto command =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& known) { return known.name == argv[1]; });
  if (command == kCommands.end()) return Usage();
  return command->run(kinsock::guest::ParseOptions(argc - 1, argv + 1));
}
