// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/time_flag.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/text/table.h"
#include "cli/view/stats_view.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;

struct StatsFlags {
  std::string vm;
  bool watch = false;
  std::string interval;
  int top = 0;
};

// False: --interval makes no sense; it was said why.
bool SetInterval(const std::string& text, v1::StreamStatsRequest& request) {
  if (text.empty()) return true;
  const std::optional<std::chrono::milliseconds> interval = TimeOf("--interval", text);
  if (!interval.has_value()) return false;
  SetDuration(*interval, *request.mutable_interval());
  return true;
}

using Show = std::function<void(const v1::StatsReport&, const Options&)>;

ExitCode AskOnce(const v1::GetStatsRequest& request, const Show& show, const Options& options) {
  Client client(options);
  v1::StatsReport report;
  const grpc::Status status =
      Ask(client, client.connections(), &v1::ConnectionService::Stub::GetStats, request, report);
  if (!status.ok()) return client.Report(status);
  show(report, options);
  return kExitOk;
}

// What was there before the first interval is not shown: the others say what happens.
ExitCode Watch(const StatsFlags& flags, const v1::GetStatsRequest& what, const Show& show, const Options& options) {
  v1::StreamStatsRequest request;
  request.set_scope(what.scope());
  request.set_vm(what.vm());
  request.set_top(what.top());
  if (!SetInterval(flags.interval, request)) return kExitUsage;
  Client client(options);
  grpc::ClientContext context;
  if (options.timeout.has_value()) client.SetDeadline(context, *options.timeout);
  const auto stream = client.connections().StreamStats(&context, request);
  v1::StatsReport report;
  while (stream->Read(&report)) {
    if (report.has_interval()) {
      if (options.format == OutputFormat::kJson) {
        Print(Render(report, OutputFormat::kJsonl));
      } else {
        if (!ShowsMessage(options.format)) Print("after " + TimeUtil::ToString(report.interval()) + ":\n");
        if (options.format == OutputFormat::kYaml) Print("---\n");
        show(report, options);
      }
    }
    if (std::ferror(stdout) != 0) context.TryCancel();  // nobody reads us
  }
  return client.Report(stream->Finish());
}

ExitCode Run(const StatsFlags& flags, const v1::GetStatsRequest& what, const Show& show, const Options& options) {
  return flags.watch ? Watch(flags, what, show, options) : AskOnce(what, show, options);
}

void ShowStats(const v1::StatsReport& report, const Options& options) {
  if (ShowsMessage(options.format)) return Print(Render(report, options.format));
  if (options.format == OutputFormat::kName) {
    return Print((report.vm().empty() ? report.instance_id() : report.vm()) + "\n");
  }
  Print(MakeStatsTable(report.stats(), options.format == OutputFormat::kWide).Render(options));
}

ExitCode Stats(const StatsFlags& flags, const Options& options) {
  v1::GetStatsRequest request;
  request.set_scope(flags.vm.empty() ? v1::GetStatsRequest::DAEMON : v1::GetStatsRequest::VM);
  if (!flags.vm.empty()) request.set_vm(FullVmName(flags.vm));
  return Run(flags, request, ShowStats, options);
}

// "web-1", or "host(web-1)" for the host as that VM sees it.
std::string EndText(const v1::PairStats::End& end) {
  if (end.vm().empty()) return "(other)";
  return end.host() ? absl::StrCat("host(", ShortVmName(end.vm()), ")") : ShortVmName(end.vm());
}

void ShowPairs(const v1::StatsReport& report, const Options& options) {
  if (ShowsMessage(options.format)) return Print(Render(report, options.format));
  if (options.format == OutputFormat::kName) {
    for (const v1::PairStats& pair : report.pairs()) {
      Print(absl::StrCat(EndText(pair.initiator()), " ", EndText(pair.target()), "\n"));
    }
    return;
  }
  const bool wide = options.format == OutputFormat::kWide;
  std::vector<std::string> headers{"FROM", "TO", "SENT", "RECEIVED", "CONNECTS", "REFUSED", "DENIED", "OPEN"};
  if (wide) headers.insert(headers.end(), {"PACKETS", "STALLS"});
  Table table(std::move(headers));
  const auto add = [&](const v1::PairStats& pair) {
    const v1::PairStats::Way &sent = pair.to_target(), &received = pair.to_initiator();
    std::vector<std::string> row{EndText(pair.initiator()),
                                 EndText(pair.target()),
                                 absl::StrCat(sent.bytes()),
                                 absl::StrCat(received.bytes()),
                                 absl::StrCat(pair.connects_accepted()),
                                 absl::StrCat(pair.connects_refused()),
                                 absl::StrCat(pair.connects_denied()),
                                 absl::StrCat(pair.open_connections())};
    if (wide) {
      row.push_back(absl::StrCat(sent.packets(), "/", received.packets()));
      row.push_back(absl::StrCat(sent.credit_stalls(), "/", received.credit_stalls()));
    }
    table.Add(std::move(row));
  };
  for (const v1::PairStats& pair : report.pairs()) add(pair);
  const v1::PairStats& other = report.other();
  if (other.connects_accepted() + other.connects_refused() > 0) add(other);
  Print(table.Render(options));
}

ExitCode Pairs(const StatsFlags& flags, const Options& options) {
  v1::GetStatsRequest request;
  request.set_scope(v1::GetStatsRequest::PAIR);
  request.set_top(flags.top);
  if (!flags.vm.empty()) request.set_vm(FullVmName(flags.vm));
  return Run(flags, request, ShowPairs, options);
}

void DeclareWatchFlags(CLI::App& app, StatsFlags& flags) {
  app.add_flag("--watch", flags.watch, "By how much it grows, again and again");
  app.add_option("--interval", flags.interval, "With --watch: how often, 100ms to 1h; 1s by default")
      ->option_text("TIME");
}

}  // namespace

void DeclareStats(CLI::App& app, Command& command) {
  CLI::App* stats = app.add_subcommand(
      "stats", "Show what went through a VM's device, or through all of them; -o wide also what did not happen");
  auto flags = std::make_shared<StatsFlags>();
  stats->add_option("VM", flags->vm, "Only this VM");
  DeclareWatchFlags(*stats, *flags);
  stats->footer(
      "Examples:\n  kinsockctl stats web -o wide\n"
      "  kinsockctl stats web -o json | jq '.stats.fromGuest.siblingBytes | tonumber'");
  stats->callback([flags, &command] { command = [flags](const Options& options) { return Stats(*flags, options); }; });

  CLI::App* pairs = app.add_subcommand("pairs", "Show who calls whom, those that carry the most first");
  auto what = std::make_shared<StatsFlags>();
  pairs->add_option("--vm", what->vm, "Only pairs of this VM")->option_text("NAME");
  pairs->add_option("--top", what->top, "How many; 100 by default")->check(CLI::Range(1, 1000))->option_text("N");
  DeclareWatchFlags(*pairs, *what);
  pairs->footer("Examples:\n  kinsockctl pairs --vm web\n  kinsockctl pairs --watch --interval 5s");
  pairs->callback([what, &command] { command = [what](const Options& options) { return Pairs(*what, options); }; });
}

}  // namespace kinsock
