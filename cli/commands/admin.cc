// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/commands/resource_commands.h"
#include "cli/flags/choice.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"

namespace kinsock {
namespace {

using Level = v1::SetLogLevelRequest;

struct LevelFlags {
  Level::Level level = Level::LEVEL_UNSPECIFIED;
  std::string time;
};

ExitCode SetLevel(const LevelFlags& flags, const Options& options) {
  v1::SetLogLevelRequest request;
  request.set_level(flags.level);
  if (!flags.time.empty()) {
    const std::optional<std::chrono::milliseconds> time = TimeOf("--for", flags.time);
    if (!time.has_value()) return kExitUsage;
    SetDuration(*time, *request.mutable_duration());
  }
  return AskQuietly(&Client::admin, &v1::AdminService::Stub::SetLogLevel, request, options);
}

struct DrainFlags {
  bool undo = false;
  std::string reason;
};

ExitCode Drain(const DrainFlags& flags, const Options& options) {
  v1::DrainRequest request;
  request.set_undo(flags.undo);
  request.set_reason(flags.reason);
  return AskQuietly(&Client::admin, &v1::AdminService::Stub::Drain, request, options);
}

}  // namespace

void DeclareAdmin(CLI::App& app, Command& command) {
  CLI::App* level = app.add_subcommand("log-level", "Set from which level on the daemon logs");
  auto flags = std::make_shared<LevelFlags>();
  AddChoice<Level::Level>(*level, "LEVEL", flags->level,
                          {{"info", Level::INFO}, {"warning", Level::WARNING}, {"error", Level::ERROR}},
                          "info, warning, error")
      ->required()
      ->transform([](const std::string& word) { return absl::AsciiStrToLower(word); });
  level->add_option("--for", flags->time, "Then as before, 1s to 24h")->option_text("TIME");
  level->callback(
      [flags, &command] { command = [flags](const Options& options) { return SetLevel(*flags, options); }; });

  CLI::App* daemon = app.add_subcommand("daemon", "The daemon itself");
  daemon->require_subcommand(1)->fallthrough();
  CLI::App* drain = daemon->add_subcommand("drain", "Make no more VMs here; those that exist go on");
  auto what = std::make_shared<DrainFlags>();
  drain->add_flag("--undo", what->undo, "Make VMs again");
  drain->add_option("--reason", what->reason, "Why, for the daemon's log")->option_text("TEXT");
  drain->callback([what, &command] { command = [what](const Options& options) { return Drain(*what, options); }; });
  DeclareConfig(app, *daemon, command);
}

}  // namespace kinsock
