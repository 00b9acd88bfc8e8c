// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/choice.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/top/screen.h"
#include "cli/top/top.h"
#include "cli/top/top_look.h"
#include "cli/view/conn_view.h"

namespace kinsock {
namespace {

constexpr std::chrono::milliseconds kLeastInterval{100};

struct TopFlags {
  std::string what = "vms";
  std::string sort = "bytes";
  std::string interval = "1s";
  int count = 0;  // 0: until it is ended
};

// What a key does; it is left as it was when the key means nothing.
void OnKey(char key, TopFlags& flags) {
  switch (key) {
    case 'v':
      flags.what = "vms";
      break;
    case 'p':
      flags.what = "pairs";
      break;
    case 'c':
      flags.what = "conns";
      break;
    case 's': {
      const std::vector<std::string>& keys = TopKeys();
      const auto now = std::find(keys.begin(), keys.end(), flags.sort);
      flags.sort = now == keys.end() || now + 1 == keys.end() ? keys.front() : *(now + 1);
      break;
    }
    default:
      break;
  }
}

std::string Title(const TopFlags& flags) {
  return absl::StrCat("kinsock ", flags.what, ", by ", flags.what == "conns" ? "bytes" : flags.sort,
                      "   v p c: VMs, pairs, connections   s: sort   q: quit\n");
}

std::string NamesOf(const TopSight& sight) {
  std::string names;
  for (const TopRow& row : sight.rows) names += row.name + "\n";
  for (const v1::Connection& connection : sight.connections.connections()) names += connection.name() + "\n";
  return names;
}

std::string TextOf(const TopSight& sight, const Options& options) {
  if (options.format == OutputFormat::kName) return NamesOf(sight);
  if (ShowsMessage(options.format)) {
    const bool yaml = options.format == OutputFormat::kYaml;
    const OutputFormat format = yaml ? OutputFormat::kYaml : OutputFormat::kJsonl;
    return (yaml ? "---\n" : "") +
           (sight.what == "conns" ? Render(sight.connections, format) : Render(ToSample(sight), format));
  }
  if (sight.what != "conns") return RenderTop(sight.rows, options.headers);
  Options shown = options;
  shown.format = OutputFormat::kTable;
  return RenderConnections(sight.connections, shown, true);
}

ExitCode RunTop(TopFlags flags, const Options& options) {
  const std::optional<std::chrono::milliseconds> interval = ParseDuration(flags.interval);
  if (!interval.has_value() || *interval < kLeastInterval) {
    std::fprintf(stderr, "kinsockctl: --interval: \"%s\" is not a time of 100ms or more; write 1s or 500ms\n",
                 flags.interval.c_str());
    return kExitUsage;
  }
  Client client(options);
  TopLooker looker(client);
  TopSight sight;
  // Rates need two looks. What goes wrong is said when the terminal is as before.
  grpc::Status status = looker.Look(flags.what, flags.sort, sight);
  if (!status.ok()) return client.Report(status);
  {
    Screen screen(options.format == OutputFormat::kTable || options.format == OutputFormat::kWide);
    for (int shown = 0; flags.count == 0 || shown < flags.count; ++shown) {
      const char key = screen.AwaitKey(*interval);
      if (key == 'q') break;
      OnKey(key, flags);
      status = looker.Look(flags.what, flags.sort, sight);
      const std::string title = screen.is_terminal() ? Title(flags) : "";
      if (!status.ok() || !screen.Draw(title + TextOf(sight, options))) break;
    }
  }
  return status.ok() ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareTop(CLI::App& app, Command& command) {
  CLI::App* top = app.add_subcommand(
      "top",
      "Show what moves now: VMs, pairs or connections, those that move most first; -o json a line for each look");
  auto flags = std::make_shared<TopFlags>();
  top->add_option("WHAT", flags->what, "vms, pairs or conns (vms)")
      ->check(OneOf({"vms", "pairs", "conns"}))
      ->option_text("vms|pairs|conns");
  top->add_option("--sort", flags->sort, "What VMs and pairs are sorted by (bytes)")
      ->check(OneOf(TopKeys()))
      ->option_text("bytes|receive|transmit|conns|connects|stalls|drops|name");
  top->add_option("--interval", flags->interval, "From one look to the next, 100ms or more (1s)")->option_text("TIME");
  top->add_option("-n,--count", flags->count, "So many times, then end")
      ->check(CLI::Range(1, 1000000))
      ->option_text("N");
  top->footer(
      "On a terminal: v p c for VMs, pairs, connections; s for the next order; q to end.\n"
      "Examples:\n  kinsockctl top pairs --sort stalls\n"
      "  kinsockctl top -n 1 -o json | jq -r '.rows[] | [.name, .receiveBytesPerSecond] | @tsv'");
  top->callback([flags, &command] { command = [flags](const Options& options) { return RunTop(*flags, options); }; });
}

}  // namespace kinsock
