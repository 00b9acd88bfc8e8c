// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/duration.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kPageSize = 1000;

// "web-1(42):1024" for a guest, "host:49152" for the host.
std::string EndText(const v1::Endpoint& end) {
  if (end.vm().empty()) return absl::StrCat(end.cid() == 2 ? "host" : absl::StrCat("cid ", end.cid()), ":", end.port());
  return absl::StrCat(ShortVmName(end.vm()), "(", end.cid(), "):", end.port());
}

// A path, "vsock:1:9001", or nothing.
std::string HostAddress(const v1::Endpoint& end) {
  if (end.host_cid() != 0) return absl::StrCat("vsock:", end.host_cid(), ":", end.host_port());
  return end.host_path();
}

std::string HostAddress(const v1::Connection& connection) {
  const std::string initiator = HostAddress(connection.initiator());
  return initiator.empty() ? HostAddress(connection.target()) : initiator;
}

std::string RenderTable(const v1::ListConnectionsResponse& list, const Options& options) {
  const bool wide = options.format == OutputFormat::kWide;
  bool any_closed = false;
  for (const v1::Connection& connection : list.connections()) any_closed |= connection.has_close_time();
  std::vector<std::string> headers{"FROM", "TO", "STATE", "SENT", "RECEIVED", "AGE"};
  if (any_closed) headers.insert(headers.end(), {"REASON", "ENDED"});
  if (wide) headers.insert(headers.end(), {"TYPE", "QUEUED", "CREDIT", "STALLS", "STALLED", "HOST", "NAME"});
  Table table(std::move(headers));
  for (const v1::Connection& connection : list.connections()) {
    const auto age = std::chrono::seconds(std::time(nullptr) - connection.start_time().seconds());
    std::vector<std::string> row{EndText(connection.initiator()),
                                 EndText(connection.target()),
                                 v1::Connection::State_Name(connection.state()),
                                 absl::StrCat(connection.to_target().bytes()),
                                 absl::StrCat(connection.to_initiator().bytes()),
                                 ShortAge(age)};
    if (any_closed && connection.has_close_time()) {
      const auto ago = std::chrono::seconds(std::time(nullptr) - connection.close_time().seconds());
      row.push_back(v1::Connection::CloseReason_Name(connection.close_reason()));
      row.push_back(ShortAge(ago) + " ago");
    } else if (any_closed) {
      row.insert(row.end(), {"-", "-"});
    }
    if (wide) {
      const v1::Flow& sent = connection.to_target();
      const v1::Flow& received = connection.to_initiator();
      row.push_back(connection.type());
      row.push_back(absl::StrCat(sent.queued_bytes() + received.queued_bytes()));
      row.push_back(absl::StrCat(sent.credit(), "/", received.credit()));
      row.push_back(absl::StrCat(sent.credit_stalls(), "/", received.credit_stalls()));
      row.push_back(absl::StrCat(TimeUtil::ToString(sent.stalled()), "/", TimeUtil::ToString(received.stalled())));
      row.push_back(HostAddress(connection));
      row.push_back(connection.name());
    }
    table.Add(std::move(row));
  }
  return table.Render(options.headers);
}

std::string RenderConnections(const v1::ListConnectionsResponse& list, const Options& options) {
  std::string text;
  switch (options.format) {
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      return Render(list, options.format);
    case OutputFormat::kJsonl:
      for (const v1::Connection& connection : list.connections()) text += Render(connection, options.format);
      return text;
    case OutputFormat::kName:
      for (const v1::Connection& connection : list.connections()) text += connection.name() + "\n";
      return text;
    default:
      return RenderTable(list, options);
  }
}

struct ListFlags {
  std::string vm;
  bool closed = false;
  int top = 0;  // 0: all
};

ExitCode List(const ListFlags& flags, const Options& options) {
  Client client(options);
  const std::string only = flags.vm.empty() ? "" : FullVmName(flags.vm);
  if (!only.empty()) {
    // A name that is mistyped is an error, not an empty list.
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::GetVmRequest request;
    request.set_name(only);
    v1::Vm found;
    const grpc::Status status = client.vms().GetVm(&context, request, &found);
    if (!status.ok()) return client.Report(status);
  }
  v1::ListConnectionsResponse all;
  v1::ListConnectionsRequest request;
  request.set_page_size(flags.top > 0 ? flags.top : kPageSize);
  request.set_vm(only);
  if (flags.closed) request.add_states(v1::Connection::CLOSED);
  if (flags.top > 0) request.set_order_by("-bytes");
  do {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListConnectionsResponse page;
    const grpc::Status status = client.connections().ListConnections(&context, request, &page);
    if (!status.ok()) return client.Report(status);
    request.set_page_token(page.next_page_token());
    for (v1::Connection& connection : *page.mutable_connections()) {
      *all.add_connections() = std::move(connection);
    }
    all.set_forgotten(page.forgotten());
  } while (!request.page_token().empty());
  Print(RenderConnections(all, options));
  return kExitOk;
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
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ResetConnectionRequest request;
    request.set_name(FullConnectionName(name));
    request.set_reason(flags.reason);
    v1::Connection connection;
    const grpc::Status status = client.connections().ResetConnection(&context, request, &connection);
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
  CLI::App* list = conn->add_subcommand("list", "Show the open connections, or those that ended lately");
  auto flags = std::make_shared<ListFlags>();
  list->add_option("--vm", flags->vm, "Only those of this VM")->option_text("NAME");
  list->add_flag("--closed", flags->closed, "Those that ended, or were refused, in the last minute, and why");
  list->add_option("--top", flags->top, "Only the N that have carried the most bytes, these first")
      ->check(CLI::Range(1, kPageSize))
      ->option_text("N");
  list->callback([flags, &command] { command = [flags](const Options& options) { return List(*flags, options); }; });

  CLI::App* reset = conn->add_subcommand("reset", "End connections at once; names are in conn list -o name");
  auto what = std::make_shared<ResetFlags>();
  reset->add_option("NAME", what->names, "Which connections")->required();
  reset->add_option("--reason", what->reason, "Why, for the daemon's log")->option_text("TEXT");
  reset->callback([what, &command] { command = [what](const Options& options) { return Reset(*what, options); }; });
}

}  // namespace kinsock
