// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/manifest/apply.h"
#include "cli/manifest/manifest.h"
#include "cli/process/input_file.h"
#include "cli/text/output.h"
#include "cli/text/progress.h"

namespace kinsock {
namespace {

struct ApplyFlags {
  std::vector<std::string> files;
  ApplySettings settings;
};

// What is wrong with the files is said here, all of it.
bool ReadFiles(const std::vector<std::string>& files, Manifest& manifest) {
  std::vector<ConfigProblem> problems;
  for (const std::string& file : files) {
    const absl::StatusOr<std::string> text = ReadInput(file);
    if (text.ok()) {
      ReadManifest(*text, InputName(file), manifest, problems);
    } else {
      problems.push_back({InputName(file), "", std::string(text.status().message())});
    }
  }
  if (problems.empty()) problems = FindClashes(manifest);
  for (const ConfigProblem& problem : problems) std::fprintf(stderr, "kinsockctl: %s\n", problem.ToString().c_str());
  if (!problems.empty()) {
    std::fprintf(stderr, "kinsockctl: nothing was applied\n");
    return false;
  }
  if (manifest.size() == 0) {
    std::fprintf(stderr, "kinsockctl: %s: describes nothing\n", InputName(files.front()).c_str());
    return false;
  }
  if (!manifest.left_out.empty()) {
    std::fprintf(stderr, "kinsockctl: about the daemon itself, and left out: %s\n",
                 absl::StrJoin(manifest.left_out, ", ").c_str());
  }
  return true;
}

// The same message as of `kinsockctl daemon reload`.
v1::ReloadResponse ToResponse(const std::vector<Applied>& results, const ApplyFlags& flags) {
  v1::ReloadResponse response;
  response.set_applied(!flags.settings.dry_run);
  response.set_file(absl::StrJoin(flags.files, ","));
  uint32_t unchanged = 0;
  for (const Applied& result : results) {
    if (result.becomes == Becomes::kUnchanged) {
      ++unchanged;
      continue;
    }
    v1::ConfigChange& change = *response.add_changes();
    change.set_name(result.name);
    change.set_place(result.place);
    change.set_action(result.existed ? v1::ConfigChange::UPDATE : v1::ConfigChange::CREATE);
    const bool not_tried = result.becomes == Becomes::kNotTried;
    change.set_reason(not_tried ? "NOT_TRIED" : result.reason);
    change.set_message(not_tried ? "no daemon answered any more" : result.message);
  }
  response.set_unchanged(unchanged);
  return response;
}

std::string Line(const Applied& result, bool dry_run) {
  const std::string would = dry_run ? "would be " : "";
  switch (result.becomes) {
    case Becomes::kCreated:
      return absl::StrCat(result.name, " ", would, "created",
                          result.unchecked ? ", once what it is in or of is there" : "", "\n");
    case Becomes::kChanged:
      return absl::StrCat(result.name, " ", would, "changed\n");
    case Becomes::kUnchanged:
      return result.name + " unchanged\n";
    case Becomes::kNotTried:
    case Becomes::kRefused:
      break;  // said on standard error
  }
  return "";
}

void Show(const std::vector<Applied>& results, const ApplyFlags& flags, const Options& options) {
  if (ShowsMessage(options.format)) return Print(Render(ToResponse(results, flags), options.format));
  std::string text;
  for (const Applied& result : results) {
    const std::string line = Line(result, flags.settings.dry_run);
    text += options.format == OutputFormat::kName && !line.empty() ? result.name + "\n" : line;
  }
  Print(text);
}

ExitCode Apply(const ApplyFlags& flags, const Options& options) {
  Manifest manifest;
  if (!ReadFiles(flags.files, manifest)) return kExitUsage;
  Client client(options);
  Progress progress;
  Applier applier(client, flags.settings, progress);
  const ExitCode code = applier.Apply(manifest);
  Show(applier.results(), flags, options);
  const auto failed = std::count_if(applier.results().begin(), applier.results().end(), [](const Applied& result) {
    return result.becomes == Becomes::kRefused || result.becomes == Becomes::kNotTried;
  });
  if (failed > 0) {
    std::fprintf(stderr, "kinsockctl: %zu of %zu %s\n", static_cast<size_t>(failed), applier.results().size(),
                 flags.settings.dry_run ? "would fail" : "failed; the others are as the file says");
  }
  return code;
}

constexpr char kWhatFilesSay[] = R"(A file is YAML or JSON, any number of documents, each one of:
  an object as `kinsockctl vm get web -o yaml` prints it, or a list of them:
    name: vms/web                     # or networks/lab, networks/lab/policies/closed, forwards/ssh
    labels: {tier: web}
    spec: {cid: {staticCid: 42}, uds: {path: /run/kinsock/web.sock}}
  a configuration of kinsockd, or of vhost-device-vsock (vms:, networks:, policies:, forwards:):
    vms: [{guest_cid: 3, socket: /run/vm3.sock, uds_path: /run/vm3.vsock, groups: "a+b"}]
What a file does not name is left alone. What of an object a file does not say gets its default.
Examples:
  kinsockctl apply -f vms.yaml --dry-run
  kinsockctl vm list -o yaml | ssh other-host kinsockctl apply -f -)";

}  // namespace

void DeclareApply(CLI::App& app, const char* help, Command& command) {
  CLI::App* apply = app.add_subcommand("apply", help);
  auto flags = std::make_shared<ApplyFlags>();
  apply->add_option("-f,--file", flags->files, "What there should be; - is standard input; may be repeated")
      ->required()
      ->allow_extra_args(false)
      ->option_text("FILE|-");
  apply->add_flag("--dry-run,--validate-only", flags->settings.dry_run,
                  "Have the daemon check everything, and change nothing");
  apply->add_flag("--force-conflicts", flags->settings.force_conflicts,
                  "Also VMs of the daemon's configuration file, until that is read again");
  apply->footer(kWhatFilesSay);
  apply->callback([flags, &command] { command = [flags](const Options& options) { return Apply(*flags, options); }; });
}

}  // namespace kinsock
