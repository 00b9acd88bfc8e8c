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
#include "cli/text/duration.h"
#include "cli/top/screen.h"
#include "cli/top/top.h"
#include "cli/view/conn_view.h"

namespace kinsock {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPageSize = 1000;
constexpr std::chrono::milliseconds kLeastInterval{100};
// Connections and pairs that are looked at: those with the most bytes. Nobody's screen has more lines.
constexpr int kMost = 1000;

struct TopFlags {
  std::string what = "vms";
  std::string sort = "bytes";
  std::string interval = "1s";
  int count = 0;  // 0: until it is ended
};

// Looks at the daemon once.
class Looker {
 public:
  Looker(Client& client, const Options& options) : client_(client), options_(options) {}

  // `text`: what to show.
  grpc::Status Look(const std::string& what, const std::string& sort, std::string& text) {
    if (what == "conns") return LookAtConnections(text);
    std::vector<TopRow> rows;
    grpc::Status status = what == "pairs" ? LookAtPairs(rows) : LookAtVms(rows);
    SortTop(sort, rows);
    text = RenderTop(rows, options_.headers);
    return status;
  }

  // Another kind of rows begins anew.
  void Forget() {
    top_ = Top();
    looked_at_ = std::nullopt;
  }

 private:
  double SecondsSince() {
    const Clock::time_point now = Clock::now();
    const double seconds = looked_at_.has_value() ? std::chrono::duration<double>(now - *looked_at_).count() : 0;
    looked_at_ = now;
    return seconds;
  }

  grpc::Status LookAtVms(std::vector<TopRow>& rows) {
    v1::ListVmsResponse all;
    v1::ListVmsRequest request;
    request.set_page_size(kPageSize);
    request.set_view(v1::FULL);
    do {
      grpc::ClientContext context;
      client_.SetDeadline(context, kQuestionTimeout);
      v1::ListVmsResponse page;
      grpc::Status status = client_.vms().ListVms(&context, request, &page);
      if (!status.ok()) return status;
      request.set_page_token(page.next_page_token());
      for (v1::Vm& vm : *page.mutable_vms()) *all.add_vms() = std::move(vm);
    } while (!request.page_token().empty());
    rows = top_.LookAtVms(all, SecondsSince());
    return grpc::Status::OK;
  }

  grpc::Status LookAtPairs(std::vector<TopRow>& rows) {
    grpc::ClientContext context;
    client_.SetDeadline(context, kQuestionTimeout);
    v1::GetStatsRequest request;
    request.set_scope(v1::GetStatsRequest::PAIR);
    request.set_top(kMost);
    v1::StatsReport report;
    grpc::Status status = client_.connections().GetStats(&context, request, &report);
    if (status.ok()) rows = top_.LookAtPairs(report, SecondsSince());
    return status;
  }

  // The daemon measures these itself.
  grpc::Status LookAtConnections(std::string& text) {
    grpc::ClientContext context;
    client_.SetDeadline(context, kQuestionTimeout);
    v1::ListConnectionsRequest request;
    request.set_page_size(kMost);
    request.set_order_by("-bytes_per_second");
    v1::ListConnectionsResponse list;
    grpc::Status status = client_.connections().ListConnections(&context, request, &list);
    if (!status.ok()) return status;
    Options shown = options_;
    shown.format = OutputFormat::kTable;
    text = RenderConnections(list, shown, true);
    return status;
  }

  Client& client_;
  const Options& options_;
  Top top_;
  std::optional<Clock::time_point> looked_at_;
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

ExitCode RunTop(TopFlags flags, const Options& options) {
  const std::optional<std::chrono::milliseconds> interval = ParseDuration(flags.interval);
  if (!interval.has_value() || *interval < kLeastInterval) {
    std::fprintf(stderr, "kinsockctl: --interval: \"%s\" is not a time of 100ms or more; write 1s or 500ms\n",
                 flags.interval.c_str());
    return kExitUsage;
  }
  Client client(options);
  Looker looker(client, options);
  std::string text;
  // Rates need two looks. What goes wrong is said when the terminal is as before.
  grpc::Status status = looker.Look(flags.what, flags.sort, text);
  if (!status.ok()) return client.Report(status);
  {
    Screen screen;
    for (int shown = 0; flags.count == 0 || shown < flags.count; ++shown) {
      const char key = screen.AwaitKey(*interval);
      if (key == 'q') break;
      const std::string what = flags.what;
      OnKey(key, flags);
      if (flags.what != what) looker.Forget();
      status = looker.Look(flags.what, flags.sort, text);
      if (!status.ok() || !screen.Draw((screen.is_terminal() ? Title(flags) : "") + text)) break;
    }
  }
  return status.ok() ? kExitOk : client.Report(status);
}

}  // namespace

void DeclareTop(CLI::App& app, Command& command) {
  CLI::App* top =
      app.add_subcommand("top", "Show what moves now: VMs, pairs or connections, those that move most first");
  auto flags = std::make_shared<TopFlags>();
  top->add_option("WHAT", flags->what, "vms, pairs or conns (vms)")
      ->check(CLI::IsMember({"vms", "pairs", "conns"}))
      ->option_text("vms|pairs|conns");
  top->add_option("--sort", flags->sort, "What VMs and pairs are sorted by (bytes)")
      ->check(CLI::IsMember(TopKeys()))
      ->option_text("bytes|receive|transmit|conns|connects|stalls|drops|name");
  top->add_option("--interval", flags->interval, "From one look to the next, 100ms or more (1s)")->option_text("TIME");
  top->add_option("--count", flags->count, "So many times, then end")->check(CLI::Range(1, 1000000))->option_text("N");
  top->callback([flags, &command] { command = [flags](const Options& options) { return RunTop(*flags, options); }; });
}

}  // namespace kinsock
