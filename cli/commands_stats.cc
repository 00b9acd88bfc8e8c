// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/stats_view.h"
#include "cli/vm_view.h"

namespace kinsock {
namespace {

ExitCode Stats(const std::string& vm, const Options& options) {
  Client client(options);
  grpc::ClientContext context;
  client.SetDeadline(context, kQuestionTimeout);
  v1::GetStatsRequest request;
  request.set_scope(vm.empty() ? v1::GetStatsRequest::DAEMON : v1::GetStatsRequest::VM);
  if (!vm.empty()) request.set_vm(FullVmName(vm));
  v1::StatsReport report;
  const grpc::Status status = client.connections().GetStats(&context, request, &report);
  if (!status.ok()) return client.Report(status);
  if (ShowsMessage(options.format)) {
    Print(Render(report, options.format));
  } else if (options.format == OutputFormat::kName) {
    Print((vm.empty() ? report.instance_id() : report.vm()) + "\n");
  } else {
    Print(MakeStatsTable(report.stats(), options.format == OutputFormat::kWide).Render(options.headers));
  }
  return kExitOk;
}

}  // namespace

void DeclareStats(CLI::App& app, Command& command) {
  CLI::App* stats = app.add_subcommand(
      "stats", "Show what went through a VM's device, or through all of them; -o wide also what did not happen");
  auto vm = std::make_shared<std::string>();
  stats->add_option("VM", *vm, "Only this VM");
  stats->callback([vm, &command] { command = [vm](const Options& options) { return Stats(*vm, options); }; });
}

}  // namespace kinsock
