// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "cli/view/conn_view.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

struct ListFlags {
  std::string vm;
  bool closed = false;
  int top = 0;  // 0: all
  bool by_rate = false;
};

// A name that is mistyped is an error, not an empty answer.
grpc::Status CheckVm(Client& client, const std::string& name) {
  if (name.empty()) return grpc::Status::OK;
  v1::GetVmRequest request;
  request.set_name(name);
  v1::Vm found;
  return Ask(client, client.vms(), &v1::VmService::Stub::GetVm, request, found);
}

ExitCode List(const ListFlags& flags, const Options& options) {
  Client client(options);
  const std::string only = flags.vm.empty() ? "" : FullVmName(flags.vm);
  if (const grpc::Status status = CheckVm(client, only); !status.ok()) return client.Report(status);
  v1::ListConnectionsResponse all;
  v1::ListConnectionsRequest request;
  request.set_page_size(flags.top);
  request.set_vm(only);
  if (flags.closed) request.add_states(v1::Connection::CLOSED);
  if (flags.by_rate) {
    request.set_order_by("-bytes_per_second");
  } else if (flags.top > 0) {
    request.set_order_by("-bytes");
  }
  const auto take = [&all](const v1::ListConnectionsResponse& page) {
    if (page.has_rate_interval()) all.clear_rate_interval();  // the last one's, not a sum
    all.MergeFrom(page);
  };
  const int most_pages = flags.top > 0 ? 1 : std::numeric_limits<int>::max();
  const grpc::Status status = ForEachPage(client, client.connections(), &v1::ConnectionService::Stub::ListConnections,
                                          request, take, most_pages);
  if (!status.ok()) return client.Report(status);
  Print(RenderConnections(all, options, flags.by_rate));
  return kExitOk;
}

ExitCode Watch(const std::string& vm, const Options& options) {
  Client client(options);
  v1::WatchConnectionsRequest request;
  if (!vm.empty()) request.set_vm(FullVmName(vm));
  if (const grpc::Status status = CheckVm(client, request.vm()); !status.ok()) return client.Report(status);
  grpc::ClientContext context;
  if (options.timeout.has_value()) client.SetDeadline(context, *options.timeout);
  const auto stream = client.connections().WatchConnections(&context, request);
  v1::WatchConnectionsResponse change;
  while (stream->Read(&change)) {
    Print(RenderConnectionChange(change, options));
    if (std::ferror(stdout) != 0) context.TryCancel();  // nobody reads us
  }
  return client.Report(stream->Finish());
}

struct ResetFlags {
  std::vector<std::string> names;
  std::string reason;
};

// "connections/..." or what comes after the slash.
std::string FullConnectionName(const std::string& name) {
  return absl::StartsWith(name, "connections/") ? name : "connections/" + name;
}

ExitCode Reset(const ResetFlags& flags, const Options& options) {
  Client client(options);
  v1::ListConnectionsResponse ended;
  ExitCode code = kExitOk;
  for (const std::string& name : flags.names) {
    v1::ResetConnectionRequest request;
    request.set_name(FullConnectionName(name));
    request.set_reason(flags.reason);
    v1::Connection connection;
    const grpc::Status status =
        Ask(client, client.connections(), &v1::ConnectionService::Stub::ResetConnection, request, connection);
    if (status.ok()) {
      *ended.add_connections() = std::move(connection);
    } else {
      code = client.Report(status);  // the others are still reset
    }
  }
  if (ShowsMessage(options.format) || options.format == OutputFormat::kName) {
    Print(RenderConnections(ended, options));
  } else {
    for (const v1::Connection& connection : ended.connections()) Print(connection.name() + " reset\n");
  }
  return code;
}

}  // namespace

void DeclareConnCommands(CLI::App& app, Command& command) {
  CLI::App* conn = app.add_subcommand("conn", "Connections");
  conn->require_subcommand(1)->fallthrough();
  conn->footer(
      "Examples:\n  kinsockctl conn watch --vm web\n  kinsockctl conn reset $(kinsockctl conn list --vm web -o name)");
  CLI::App* list = conn->add_subcommand("list", "Show the open connections, or those that ended lately");
  auto flags = std::make_shared<ListFlags>();
  list->add_option("--vm", flags->vm, "Only those of this VM")->option_text("NAME");
  list->add_flag("--closed", flags->closed, "Those that ended, or were refused, in the last minute, and why");
  list->add_option("--top", flags->top, "Only the N that have carried the most bytes, these first")
      ->check(CLI::Range(1, kPageSize))
      ->option_text("N");
  list->add_flag("--by-rate", flags->by_rate,
                 "Those that carry the most bytes in a second first; may take a second to measure");
  list->footer(
      "Examples:\n  kinsockctl conn list --vm web --by-rate\n  kinsockctl conn list --closed            # and why they "
      "ended");
  list->callback([flags, &command] { command = [flags](const Options& options) { return List(*flags, options); }; });

  CLI::App* watch = conn->add_subcommand("watch", "Show all connections, then which begin, change and end, and why");
  auto watched_vm = std::make_shared<std::string>();
  watch->add_option("--vm", *watched_vm, "Only those of this VM")->option_text("NAME");
  watch->callback([watched_vm, &command] {
    command = [watched_vm](const Options& options) { return Watch(*watched_vm, options); };
  });

  CLI::App* reset = conn->add_subcommand("reset", "End connections at once; names are in conn list -o name");
  auto what = std::make_shared<ResetFlags>();
  reset->add_option("NAME", what->names, "Which connections")->required();
  reset->add_option("--reason", what->reason, "Why, for the daemon's log")->option_text("TEXT");
  reset->callback([what, &command] { command = [what](const Options& options) { return Reset(*what, options); }; });
}

}  // namespace kinsock
