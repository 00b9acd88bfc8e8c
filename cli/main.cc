// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "server/runtime_dir.h"
#include "server/version.h"

namespace {

using kinsock::OutputFormat;

struct GlobalFlags {
  std::string endpoint;
  std::string timeout;
  OutputFormat format = OutputFormat::kTable;
  bool no_headers = false;
};

void DeclareGlobals(CLI::App& app, GlobalFlags& flags) {
  app.set_version_flag("--version", std::string("kinsockctl ") + kinsock::kVersion);
  app.add_option("--endpoint", flags.endpoint,
                 "The daemon's API; by default $KINSOCK_ENDPOINT or " + kinsock::DefaultEndpoint())
      ->option_text("unix:PATH");
  const std::map<std::string, OutputFormat> formats{{"table", OutputFormat::kTable}, {"wide", OutputFormat::kWide},
                                                    {"json", OutputFormat::kJson},   {"yaml", OutputFormat::kYaml},
                                                    {"name", OutputFormat::kName},   {"jsonl", OutputFormat::kJsonl}};
  app.add_option("-o,--output", flags.format, "How to show the answer; JSON is that of the API's messages")
      ->transform(CLI::CheckedTransformer(formats))
      ->option_text("table|wide|json|yaml|name|jsonl");
  app.add_option("--timeout", flags.timeout, "How long to wait for the daemon")->option_text("30s|500ms|2m");
  app.add_flag("--no-headers", flags.no_headers, "Tables without their first line");
}

// Nothing: the flags make no sense; it was said why.
std::optional<kinsock::Options> Interpret(const GlobalFlags& flags) {
  kinsock::Options options;
  options.format = flags.format;
  options.headers = !flags.no_headers;
  const std::string endpoint = flags.endpoint.empty() ? kinsock::DefaultEndpoint() : flags.endpoint;
  const absl::StatusOr<std::string> path = kinsock::ParseUnixEndpoint(endpoint);
  if (!path.ok()) {
    std::fprintf(stderr, "kinsockctl: --endpoint: %s\n", std::string(path.status().message()).c_str());
    return std::nullopt;
  }
  options.endpoint = "unix:" + *path;
  if (!flags.timeout.empty()) {
    options.timeout = kinsock::ParseDuration(flags.timeout);
    if (!options.timeout.has_value()) {
      std::fprintf(stderr, "kinsockctl: --timeout: \"%s\" is not a time; write 30s, 500ms or 2m\n",
                   flags.timeout.c_str());
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("kinsockctl: creates, watches and removes the vsock devices of VMs", "kinsockctl");
  app.require_subcommand(1)->fallthrough();
  GlobalFlags flags;
  kinsock::Command command;
  DeclareGlobals(app, flags);
  CLI::App* vm = app.add_subcommand("vm", "Virtual machines");
  vm->require_subcommand(1)->fallthrough();
  kinsock::DeclareVmCommands(*vm, command);
  kinsock::DeclareVmChangeCommands(*vm, command);
  kinsock::DeclareVmDrainCommands(*vm, command);
  kinsock::DeclareWatchCommands(*vm, command);
  kinsock::DeclareConnCommands(app, command);
  kinsock::DeclareStats(app, command);
  kinsock::DeclareVmmArgs(app, command);
  kinsock::DeclareInfo(app, command);
  // The library reports by exceptions, --help included.
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::Error& error) {
    std::fprintf(stderr, "kinsockctl: %s\n  try: kinsockctl --help\n", error.what());
    return kinsock::kExitUsage;
  }
  const std::optional<kinsock::Options> options = Interpret(flags);
  if (!options.has_value()) return kinsock::kExitUsage;
  const kinsock::ExitCode code = command(*options);
  if (std::ferror(stdout) == 0 && std::fflush(stdout) == 0) return code;
  std::fprintf(stderr, "kinsockctl: standard output takes no more\n");
  return code == kinsock::kExitOk ? kinsock::kExitError : code;
}
