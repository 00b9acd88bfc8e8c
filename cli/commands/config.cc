// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "server/config/config.h"
#include "server/config/yaml_config.h"

namespace kinsock {
namespace {

// Thousands of VMs may have to be made.
constexpr std::chrono::minutes kReloadTimeout{10};
constexpr std::chrono::seconds kDumpTimeout{60};

ExitCode Dump(bool file_only, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kDumpTimeout);
  v1::DumpConfigRequest request;
  request.set_file_only(file_only);
  const auto stream = client.admin().DumpConfig(&context, request);
  const bool messages = options.format == OutputFormat::kJson || options.format == OutputFormat::kJsonl;
  v1::ConfigDump piece;
  while (std::ferror(stdout) == 0 && stream->Read(&piece)) {
    Print(messages ? Render(piece, options.format) : piece.yaml());
  }
  if (std::ferror(stdout) != 0) context.TryCancel();
  return client.Report(stream->Finish());
}

std::string Describe(const v1::ConfigChange& change, bool applied) {
  std::string action = absl::AsciiStrToLower(v1::ConfigChange::Action_Name(change.action()));
  if (!change.reason().empty()) {
    return absl::StrCat("not done: ", action, " ", change.name(), ": ", change.reason(), ": ", change.message(),
                        change.place().empty() ? "" : absl::StrCat(" (", change.place(), ")"), "\n");
  }
  return absl::StrCat(applied ? "" : "would ", action, applied ? "d " : " ", change.name(), "\n");
}

// What has to be seen to goes to standard error, also when it is a program that reads the rest.
ExitCode Show(const v1::ReloadResponse& response, const Options& options, bool validate_only) {
  for (const v1::ConfigProblem& problem : response.problems()) {
    const ConfigProblem text{problem.place(), problem.field(), problem.message()};
    std::fprintf(stderr, "kinsockctl: %s\n", text.ToString().c_str());
  }
  if (!response.problems().empty()) {
    std::fprintf(stderr, "kinsockctl: %s: %d faults; nothing was changed\n", response.file().c_str(),
                 response.problems_size());
  }
  bool refused = false;
  if (ShowsMessage(options.format)) Print(Render(response, options.format));
  for (const v1::ConfigChange& change : response.changes()) {
    const bool bad = !change.reason().empty();
    refused = refused || bad;
    const std::string line = Describe(change, response.applied());
    if (bad) std::fprintf(stderr, "kinsockctl: %s", line.c_str());
    if (!bad && !ShowsMessage(options.format)) Print(line);
  }
  if (response.more_changes() > 0) std::fprintf(stderr, "kinsockctl: and %u more\n", response.more_changes());
  if (!response.restart_required().empty()) {
    std::fprintf(stderr, "kinsockctl: other only after a restart of the daemon: %s\n",
                 absl::StrJoin(response.restart_required(), ", ").c_str());
  }
  if (!response.problems().empty()) return kExitError;
  if (!ShowsMessage(options.format) && response.changes().empty()) {
    Print(absl::StrCat(validate_only ? "the configuration is good, and holds: " : "nothing to change: ",
                       response.unchanged(), " objects\n"));
  }
  return refused ? kExitConflict : kExitOk;
}

ExitCode Reload(const v1::ReloadRequest& request, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kReloadTimeout);
  v1::ReloadResponse response;
  const ExitCode code = client.Report(client.admin().Reload(&context, request, &response));
  return code == kExitOk ? Show(response, options, request.validate_only()) : code;
}

// Without a daemon.
ExitCode CheckFile(const std::string& path) {
  std::vector<ConfigProblem> problems;
  YamlConfig file = LoadYamlConfig(path, problems);
  if (problems.empty()) {
    Config config;
    config.networks = std::move(file.networks);
    config.policies = std::move(file.policies);
    config.vms = std::move(file.vms);
    config.forwards = std::move(file.forwards);
    config.api_sockets = std::move(file.api_sockets);
    config.api_view_sockets = std::move(file.api_view_sockets);
    config.api_tcp = std::move(file.api_tcp);
    config.http = std::move(file.http);
    config.vm_socket_dir = std::move(file.vm_socket_dir);
    problems = FindClashes(config);
  }
  for (const ConfigProblem& problem : problems) std::fprintf(stderr, "kinsockctl: %s\n", problem.ToString().c_str());
  if (problems.empty()) Print(absl::StrCat(path, " is good\n"));
  return problems.empty() ? kExitOk : kExitError;
}

}  // namespace

void DeclareConfig(CLI::App& app, CLI::App& daemon, Command& command) {
  CLI::App* config = app.add_subcommand("config", "The configuration of the daemon");
  config->require_subcommand(1)->fallthrough();

  CLI::App* dump = config->add_subcommand("dump", "Print all that is configured, as a file for kinsockd --config");
  auto file_only = std::make_shared<bool>(false);
  dump->add_flag("--file-only", *file_only, "Without what was made by the API");
  dump->callback(
      [file_only, &command] { command = [file_only](const Options& options) { return Dump(*file_only, options); }; });

  CLI::App* check = config->add_subcommand("check", "Say what is wrong with a file");
  auto file = std::make_shared<std::string>();
  check
      ->add_option("FILE", *file,
                   "Which file, without asking a daemon; by default that of the daemon, and what it "
                   "would change")
      ->option_text("FILE");
  check->callback([file, &command] {
    command = [file](const Options& options) {
      if (!file->empty()) return CheckFile(*file);
      v1::ReloadRequest request;
      request.set_validate_only(true);
      return Reload(request, options);
    };
  });

  CLI::App* reload = daemon.add_subcommand("reload", "Have it read its configuration file again");
  auto force = std::make_shared<bool>(false), dry_run = std::make_shared<bool>(false);
  reload->add_flag("--force", *force, "Take VMs apart, too, whose VMM is connected");
  reload->add_flag("--dry-run", *dry_run, "Say what would change, and change nothing");
  reload->callback([force, dry_run, &command] {
    command = [force, dry_run](const Options& options) {
      v1::ReloadRequest request;
      request.set_force(*force);
      request.set_validate_only(*dry_run);
      return Reload(request, options);
    };
  });
}

}  // namespace kinsock
