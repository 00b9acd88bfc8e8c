// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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
  std::vector<std::string> headers{"FROM", "TO", "STATE", "SENT", "RECEIVED", "AGE"};
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

ExitCode List(const std::string& vm, const Options& options) {
  Client client(options);
  const std::string only = vm.empty() ? "" : FullVmName(vm);
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
  request.set_page_size(kPageSize);
  do {
    grpc::ClientContext context;
    client.SetDeadline(context, kQuestionTimeout);
    v1::ListConnectionsResponse page;
    const grpc::Status status = client.connections().ListConnections(&context, request, &page);
    if (!status.ok()) return client.Report(status);
    request.set_page_token(page.next_page_token());
    for (v1::Connection& connection : *page.mutable_connections()) {
      if (!only.empty() && connection.initiator().vm() != only && connection.target().vm() != only) continue;
      *all.add_connections() = std::move(connection);
    }
  } while (!request.page_token().empty());
  Print(RenderConnections(all, options));
  return kExitOk;
}

}  // namespace

void DeclareConnCommands(CLI::App& app, Command& command) {
  CLI::App* conn = app.add_subcommand("conn", "Connections");
  conn->require_subcommand(1)->fallthrough();
  CLI::App* list = conn->add_subcommand("list", "Show the open connections");
  auto vm = std::make_shared<std::string>();
  list->add_option("--vm", *vm, "Only those of this VM")->option_text("NAME");
  list->callback([vm, &command] { command = [vm](const Options& options) { return List(*vm, options); }; });
}

}  // namespace kinsock
